"""A folder becomes a Manifest: one row an image, with what its source says of it."""
