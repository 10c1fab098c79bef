"""The Store: every film decoded once."""
