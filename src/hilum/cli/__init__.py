"""The `hilum` command: one file a command; app.py gathers them."""
