"""Films of an archive by DICOMweb: found by QIDO-RS when they are listed, fetched by WADO-RS where they are judged.

An address is dicomweb+ before that of the archive's root, of a study or of a series; a film's is that of its instance.
Who asks stands in the environment or in a netrc file, never in an address.
"""

from __future__ import annotations

import netrc
import os
import re
import time
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

from hilum.dicomweb.peer import Peer, Pieces, Unreachable, authorization_by, is_open
from hilum.dicomweb.query import Instance, instances, studies
from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.scale.errors import ScaleError, StoreError
from hilum.system.installed import install_extra
from hilum.system.text import printable

SCHEME = "dicomweb+"
MODALITIES = "CR,DX,RG"  # of films, where nothing else is asked for
SECRET = "HILUM_DICOMWEB"
KEYS = {"StudyDate": re.compile(r"\d{8}(-(\d{8})?)?|-\d{8}"), "Modality": re.compile(r"[A-Z]{2,4}(,[A-Z]{2,4})*")}
RESOURCE = re.compile(r"(?P<root>.*?)(/studies/(?P<study>[0-9.]+)(/series/(?P<series>[0-9.]+))?)?")
INSTANCE = re.compile(r"(?P<root>.+?)(?P<path>/studies/[0-9.]+/series/[0-9.]+/instances/[0-9.]+)")
WAITS = (1.0, 4.0, 16.0)  # seconds between tries
GONE = range(400, 500)
LATER = frozenset({401, 403, 407, 408, 429})  # as it may be put right there


class Named(NamedTuple):
    """What an address names: an archive by its root, maybe a study or a series of it, days and modalities."""

    root: str
    study: str | None
    series: str | None
    days: str | None
    modalities: str


def is_dicomweb(uri: str) -> bool:
    """Whether this is the address of an archive, or of something in it."""
    return uri.startswith(SCHEME)


def check_dicomweb(uri: str, where: str, *, insecure: bool = False) -> None:
    """Refuse what is no address or holds a secret, without repeating it, and films that anyone may read on the way."""
    whole = uri.removeprefix(SCHEME)
    try:
        parts = urlsplit(whole)
        is_address = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0 and not parts.fragment
    except ValueError:
        is_address = False
    if not is_address:
        raise ScaleError(f"{where}: no address of DICOMweb; write it as in dicomweb+https://archive/dicom-web")
    if parts.username is not None or parts.password is not None:
        raise ScaleError(
            f"{where}: an address with a user or a password in it; put them into ~/.netrc, or into {SECRET} as "
            "'HOST NAME:PASSWORD'"
        )
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if key not in KEYS or KEYS[key].fullmatch(value) is None:
            raise ScaleError(f"{where}: films are chosen by StudyDate=20260101-20261231 and Modality=CR,DX alone")
    if is_open(whole) and not insecure:
        raise ScaleError(
            f"{where}: films would pass the network as anyone may read them; give an https address, or say --insecure "
            "where the network is yours"
        )


def films_of(uri: str) -> Iterator[str]:
    """The addresses of all films of an archive, a study or a series; of one film its own. Raises ScaleError."""
    if find_spec("python_multipart") is None:
        raise ScaleError(f"DICOMweb needs more than the base package: {install_extra('archive')}")
    if INSTANCE.fullmatch(uri):
        yield uri
        return
    named = _named(uri)
    try:
        for found in _found(named):
            if found.modality in named.modalities.split(","):
                yield f"{SCHEME}{named.root}{found.path}"
    except Unreachable as error:
        raise ScaleError(f"{printable(_host(named.root))}: {error}") from None


def read_instance(uri: str) -> bytes:
    """A film's file, no more of it than shows that it is too large. Raises FileNotFoundError, or StoreError."""
    from hilum.dicomweb.retrieve import retrieve

    found = INSTANCE.fullmatch(uri.removeprefix(SCHEME))
    if found is None:
        raise FileNotFoundError(None, "the address of no film, but of an archive; name that on the command line")
    root, path = found["root"], found["path"]
    peer = _peer(root)
    for wait in (*WAITS, None):
        content = bytearray()

        def take(pieces: Pieces, content: bytearray = content) -> None:
            for piece in pieces:
                content += piece
                if len(content) > MAX_FILE_BYTES:
                    return

        try:
            if not retrieve(peer, path, take):
                raise FileNotFoundError(None, "the archive has it no more")
            return bytes(content)
        except Unreachable as error:
            if error.status in GONE and error.status not in LATER:
                raise FileNotFoundError(None, f"the archive {error}") from None
            if wait is None:
                raise _of_whom(peer, root, error) from None
            time.sleep(wait)
    raise AssertionError("the last try returns or raises")


def _found(named: Named) -> Iterator[Instance]:
    peer = _peer(named.root)
    if named.study is not None:
        yield from instances(peer, named.study, named.series)
        return
    seen: set[int] = set()  # a study may be of several modalities
    for modality in named.modalities.split(","):
        matching = {"ModalitiesInStudy": modality} | ({"StudyDate": named.days} if named.days else {})
        for study in studies(peer, matching):
            if hash(study.uid) not in seen:
                seen.add(hash(study.uid))
                yield from instances(peer, study.uid)


def _of_whom(peer: Peer, root: str, error: Unreachable) -> OSError:
    """Whether the film is at fault or the archive: one that answers to others cannot give this film."""
    if error.status is not None and error.status >= 500:
        try:
            next(studies(peer, {}, 1), None)
            return FileNotFoundError(None, f"the archive {error}, and to other requests it does not")
        except Unreachable:
            pass
    return StoreError(None, f"{error}; see to it, then give the same command", printable(_host(root)))


def _named(uri: str) -> Named:
    address, _, query = uri.removeprefix(SCHEME).partition("?")
    keys = dict(parse_qsl(query))
    found = RESOURCE.fullmatch(address.rstrip("/"))
    assert found is not None  # everything is a root, at least
    return Named(
        found["root"], found["study"], found["series"], keys.get("StudyDate"), keys.get("Modality", MODALITIES)
    )


@cache
def _peer(root: str) -> Peer:
    secret = _secret(urlsplit(root).netloc, urlsplit(root).hostname or "")
    return Peer(root, None if secret is None else authorization_by(secret))


def _secret(place: str, host: str) -> str | None:
    """What shows an archive who asks: of the environment where that is meant for it, else of a netrc file."""
    meant, _, secret = os.environ.get(SECRET, "").strip().partition(" ")
    if meant in (place, host):
        return secret.strip()
    file = Path(os.environ.get("NETRC") or Path.home() / ".netrc")
    try:
        found = netrc.netrc(file).authenticators(host) if file.exists() else None
    except netrc.NetrcParseError as error:
        raise ScaleError(f"{file}: line {error.lineno}: no netrc file, or one that others may read") from None
    return f"{found[0]}:{found[2]}" if found is not None and found[2] else None


def _host(root: str) -> str:
    return f"{SCHEME}{urlsplit(root).scheme}://{urlsplit(root).netloc}"
