"""What a node is told to do: NODE.toml, typed."""
