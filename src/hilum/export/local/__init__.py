"""A bundle made to fit the place where it is used: its calibration, thresholds and gate, by films from there."""
