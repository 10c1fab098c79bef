"""What can be said of a detector's boxes."""
