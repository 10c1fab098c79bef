"""Where results go, and how whoever stands at either end of a connection is known to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from hilum.system.typed import Bounds

LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
SENDER = "sender"  # as a target: whoever sent the film
TITLE = 16  # characters of an AE title
Port = Annotated[int, Bounds(lowest=0, highest=65535)]


@dataclass(frozen=True, slots=True)
class Tls:
    """Who the node is to its callers, and the authority whose certificates they must show."""

    cert: str
    key: str
    callers: str | None = None


@dataclass(frozen=True, slots=True)
class TargetTls:
    """The authority that vouches for a target, and who the node is to it."""

    authority: str
    cert: str | None = None
    key: str | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where results go: an archive that takes C-STORE."""

    name: str
    title: str
    host: str
    port: Port
    tls: TargetTls | None = None

    def __post_init__(self) -> None:
        check_title(self.title)
        if self.name == SENDER:
            raise ValueError(f"target {SENDER}: stands for whoever sent the film; take another name")


def check_title(title: str) -> None:
    """Raises ValueError where it is none of an application entity."""
    if not (0 < len(title.strip()) <= TITLE and title.isascii() and title.isprintable() and "\\" not in title):
        raise ValueError(f"title = {title!r}: an AE title has 1 to {TITLE} plain characters")
