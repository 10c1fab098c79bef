"""Synthetic films, from anatomy in centimeters to grey levels."""
