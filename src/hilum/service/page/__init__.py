"""The web page: what is on it, and the routes by which it comes."""
