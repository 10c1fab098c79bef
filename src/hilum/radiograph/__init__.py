"""A file becomes a Radiograph: upright, bright = dense, float32 in [0, 1], with what is known of it."""

from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.radiograph import Radiograph, ReadWarning
from hilum.radiograph.read import read, recognize

__all__ = ["Radiograph", "ReadError", "ReadWarning", "Reason", "read", "recognize"]
