"""Films set against what a bundle's own looked like, as words, tables and a page."""
