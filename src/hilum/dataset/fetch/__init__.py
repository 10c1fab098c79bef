"""Public data sets, fetched and unpacked safely."""
