"""Commands for the RSNA challenge."""
