"""What a network is taught, and how far it is from it."""
