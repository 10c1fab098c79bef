"""The one family of errors of whoever judges an archive."""

from __future__ import annotations


class ScaleError(ValueError):
    """Why films cannot be judged into a folder of results, in one line that says what to do."""
