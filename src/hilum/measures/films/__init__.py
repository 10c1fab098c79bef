"""What can be said of a classifier's probabilities on films."""
