"""`hilum train`."""
