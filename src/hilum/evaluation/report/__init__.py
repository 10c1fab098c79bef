"""A judgement becomes a page."""
