"""What a way to a target can do, and how it fails."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Protocol

Store = Callable[[Path], str]  # gives the identifier of what it has stored


class Refused(Exception):
    """A target that will not have this result; one line why."""


class Way(Protocol):
    """A way to a target."""

    def connect(self, asked: str) -> AbstractContextManager[Store]:
        """Within the block, what stores a file there. Both raise Unreachable, the latter Refused.

        A target that commits to what it stores is asked to, by this identifier, when the block ends.
        """
