"""Labels that may be wrong: found, ranked, counted with an interval, and shown."""
