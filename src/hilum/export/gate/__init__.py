"""Learning to tell an upright frontal chest film from everything else."""
