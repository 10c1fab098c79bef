"""Figures of films and of boxes, and how sure they are."""
