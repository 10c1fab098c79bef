"""Several runs beside each other: every combination of some settings, or one recipe on parts of the patients."""
