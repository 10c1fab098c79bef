"""Whether films are still of the kind that a bundle was fitted to: what its card knows of them, tests, and a watch."""
