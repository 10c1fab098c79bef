"""DICOM: header checked, pixels decoded, shown; from a file or from a Dataset of pydicom's."""
