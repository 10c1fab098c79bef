"""`hilum label`: films are read, and what readers said becomes a manifest."""
