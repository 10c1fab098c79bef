"""What readers said of films: as values (reading.py), and as files that lose none (folder.py)."""
