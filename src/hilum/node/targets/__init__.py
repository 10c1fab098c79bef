"""The way out: results go to archives by C-STORE or STOW-RS, again and again until they have them."""
