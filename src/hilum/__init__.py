"""Pneumonia detection on chest radiographs: train, judge, run and serve. Research use only, not a medical device."""

from importlib.metadata import version

from hilum.radiograph import Radiograph, ReadError, Reason, read

__version__ = version("hilum")
__all__ = ["Radiograph", "ReadError", "Reason", "__version__", "read"]
