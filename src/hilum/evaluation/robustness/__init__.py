"""How far a bundle's answers hold when films come out otherwise than those it learned from."""
