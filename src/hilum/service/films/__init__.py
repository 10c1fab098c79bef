"""Films from anywhere, judged in processes of their own with limits, so that no film can harm the service."""
