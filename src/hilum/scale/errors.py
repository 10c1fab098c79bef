"""The one family of errors of whoever judges an archive."""

from __future__ import annotations


class ScaleError(ValueError):
    """Why films cannot be judged into a folder of results, in one line that says what to do."""


class StoreError(OSError):
    """A store that cannot be reached, or refuses: nothing is wrong with the film."""


def in_one_line(error: Exception) -> str:
    """What a person should know of it; an error of the system that names no file is a bug of ours, and is raised."""
    if not isinstance(error, OSError):
        return str(error)
    if not error.filename:
        raise error
    return f"{error.filename}: {error.strerror}"
