"""Where results go, and how whoever stands at either end of a connection is known to the other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from hilum.dicomweb.peer import LOOPBACK, is_open
from hilum.system.typed import Bounds

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
    """Where results go: an archive that takes C-STORE, or one that takes STOW-RS at a url."""

    name: str
    title: str = ""
    host: str = ""
    port: Port = 0
    url: str = ""
    commitment: bool = False
    tls: TargetTls | None = None
    credentials_file: str | None = None

    def __post_init__(self) -> None:
        if self.name == SENDER:
            raise ValueError(f"target {SENDER}: stands for whoever sent the film; take another name")
        if self.title:
            check_title(self.title)
        if self.url:
            check_url(self.url)
            if self.host or self.port:
                raise ValueError(f"target {self.name}: a url and a host or port; give one of them")
            if self.commitment:
                raise ValueError(f"target {self.name}: commitment is DICOM's own; it needs title, host and port")
        elif not (self.title and self.host and self.port):
            raise ValueError(f"target {self.name}: give title, host and port for C-STORE, or a url for STOW-RS")

    @property
    def is_open(self) -> bool:
        """Whether results pass a network as anyone may read them."""
        return is_open(self.url) if self.url else self.host not in LOOPBACK and self.tls is None


@dataclass(frozen=True, slots=True)
class CatchUp:
    """An archive that is asked for films: Orthanc by its feed of changes, or any by QIDO-RS and WADO-RS.

    To rules its films are sent by `title`. A query looks back `days` of study dates.
    """

    title: str
    orthanc: str = ""
    dicomweb: str = ""
    every_seconds: Annotated[float, Bounds(above=0)] = 10
    days: Annotated[int, Bounds(lowest=0, highest=365)] = 2
    tls: TargetTls | None = None
    credentials_file: str | None = None

    def __post_init__(self) -> None:
        check_title(self.title)
        if bool(self.orthanc) == bool(self.dicomweb):
            raise ValueError("give the url of one of them: orthanc, its REST API, or dicomweb, the root of QIDO-RS")
        check_url(self.url)

    @property
    def url(self) -> str:
        """Whichever there is."""
        return self.orthanc or self.dicomweb


def check_url(url: str) -> None:
    """Raises ValueError where it is none, or holds what belongs into a file."""
    try:
        parts = urlsplit(url)
        whole = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        whole = False
    if not whole or parts.query or parts.fragment:
        raise ValueError("a url that is none; write it as in 'https://archive/dicom-web'")
    if parts.username or parts.password:
        raise ValueError("a url with a password; write name:password into a file, and name that as credentials_file")


def check_title(title: str) -> None:
    """Raises ValueError where it is none of an application entity."""
    if not (0 < len(title.strip()) <= TITLE and title.isascii() and title.isprintable() and "\\" not in title):
        raise ValueError(f"title = {title!r}: an AE title has 1 to {TITLE} plain characters")
