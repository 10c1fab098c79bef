"""The way in by asking: films that an archive has and the node missed."""
