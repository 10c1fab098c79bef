"""How well a model finds the lungs, where films show what they are."""
