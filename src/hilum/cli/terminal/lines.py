"""Lines for people: a name of a file or a text out of one is shown by them, and does nothing to the terminal."""

from __future__ import annotations

import sys

from hilum.system.text import printable


def say(*lines: str) -> None:
    """What a person should know beside the answer, on standard error; a line stays a line."""
    for line in lines:
        print(printable(line), file=sys.stderr, flush=True)


def answer(*lines: str) -> None:
    """What was asked for, on standard output."""
    for line in lines:
        print(printable(line), flush=True)
