"""The Manifest: a table, one row a film."""
