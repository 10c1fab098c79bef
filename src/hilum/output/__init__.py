"""A Prediction becomes something that a person or another program reads."""
