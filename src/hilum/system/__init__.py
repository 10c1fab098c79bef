"""What hilum asks of the system beneath it: files that are whole, digests, cores, text that is safe to show."""
