"""What the node says while it runs: numbers, names of its own settings, and nothing that came in a film."""

from __future__ import annotations

import sys
import traceback
from datetime import datetime

from hilum.system.text import printable


def note(line: str) -> None:
    """A line with the time, for whoever reads logs."""
    print(f"{datetime.now():%Y-%m-%d %H:%M:%S} {printable(line)}", file=sys.stderr, flush=True)


def note_bug(what: str, error: Exception) -> None:
    """A fault of hilum's own with its traceback; an exception's message may quote what it stumbled over."""
    frames = "".join(traceback.format_tb(error.__traceback__))
    note(f"{what}: a bug of hilum")
    print(f"{frames}{type(error).__name__}", file=sys.stderr, flush=True)
