"""`hilum predict`: command.py is the whole of it, the other files are what it reads and writes."""
