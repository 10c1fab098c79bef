"""The graph that a Bundle holds: from grey levels to answers."""
