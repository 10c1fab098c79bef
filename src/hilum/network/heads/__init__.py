"""Heads that read the maps of a body: where, how far, and which part of a film is lung."""
