"""The RSNA challenge: its file of predictions, and its truth."""
