"""People who read the films that a model judged: how far they agree, and how the model stands beside them."""
