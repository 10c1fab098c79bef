"""DICOM's own network: callers who bring films, and targets that take results."""
