"""What every room stands on: whole files, digests, cores, text that is safe to show, typed values from plain data."""
