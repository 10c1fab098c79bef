"""Predictions as DICOM objects of the film's own study, for the software that radiologists read in."""
