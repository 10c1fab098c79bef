"""The node over HTTP: films by STOW-RS, whether it is well, and what is counted."""
