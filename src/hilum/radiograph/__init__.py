"""Whatever holds a film becomes a Radiograph: upright, bright = dense, float32 in [0, 1], with what is known of it."""

from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.radiograph import Radiograph, ReadWarning
from hilum.radiograph.read import FilmSource, content_of, kind_of, open_film, read, recognize

__all__ = [
    "FilmSource",
    "Radiograph",
    "ReadError",
    "ReadWarning",
    "Reason",
    "content_of",
    "kind_of",
    "open_film",
    "read",
    "recognize",
]
