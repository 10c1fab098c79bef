"""A Run becomes a Bundle."""
