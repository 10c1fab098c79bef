"""How films are varied while a network learns from them."""
