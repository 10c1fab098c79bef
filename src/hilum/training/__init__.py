"""A recipe becomes a Run."""
