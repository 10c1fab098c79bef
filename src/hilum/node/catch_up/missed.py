"""A film that an archive has and the node may have missed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hilum.dicomweb.peer import Pieces


@dataclass(frozen=True, slots=True)
class Missed:
    """By its identifier. `fetch` hands its file to a function, piece by piece; whether it is still there.

    `done` is called once it need not be looked at again.
    """

    instance: str
    fetch: Callable[[Callable[[Pieces], None]], bool]
    done: Callable[[], None]
