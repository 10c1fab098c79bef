"""What the commands share: files named by users, progress, tables, errors."""
