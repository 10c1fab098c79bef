"""A DICOM node: films come in by C-STORE, results go where the settings say, nothing is lost in between."""
