"""Predictions become judgment: figures with intervals, and a report that a person can read."""
