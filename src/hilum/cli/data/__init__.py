"""`hilum data`: one file a command; data.py only gathers them."""
