"""How far readers agree, and how a model stands beside them."""
