"""A reading room: films are shown to people who read them, one after the other, and what they say is kept."""
