"""What an archive has of the last days, by QIDO-RS, and films by WADO-RS (PS3.18 10.4 and 10.6)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial
from typing import Any
from urllib.parse import urlencode

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from hilum.node.catch_up.missed import Missed, Pieces
from hilum.node.queue import Queue
from hilum.node.settings.target import CatchUp
from hilum.node.targets.peer import Peer
from hilum.node.targets.way import Unreachable

JSON, FILM = "application/dicom+json", 'multipart/related; type="application/dicom"; transfer-syntax=*'
STUDY, SERIES, INSTANCE, MODALITY, COUNT = "0020000D", "0020000E", "00080018", "00080060", "00201208"
LONGEST_BOUNDARY = 200  # RFC 2046 allows 70, Orthanc sends 73
AT_ONCE, MOST = 100, 10_000  # studies of an answer, and in all
UID = re.compile(r"[0-9.]{1,64}")


class DicomWeb:
    """Studies by their date, then the instances of those that have grown since they were looked at."""

    def __init__(self, archive: CatchUp, queue: Queue, wanted: Callable[[str], bool]) -> None:
        self._peer = Peer(archive.dicomweb, archive.tls, archive.credentials_file)
        self._days = archive.days
        self._queue = queue
        self._wanted = wanted
        self._source = archive.dicomweb
        self._before: set[str] = set()

    def missed(self) -> Iterator[Missed]:
        """Of studies that were as they are a turn before, so that no film is fetched that is just being sent.

        Raises Unreachable.
        """
        before, self._before = self._before, set()
        for study in self._studies():
            uid, count = _first(study, STUDY), _first(study, COUNT)
            state = f"{uid} {count}"
            if not UID.fullmatch(uid) or (count and self._queue.passed(self._source, state)):
                continue
            self._before.add(state)
            if state not in before:
                continue
            for found in self._asked(f"/studies/{uid}/instances", {}):
                yield from self._film(uid, found)
            if count:
                self._queue.pass_by(self._source, state)

    def _studies(self) -> Iterator[Any]:
        today = date.today()
        days = f"{today - timedelta(self._days):%Y%m%d}-{today + timedelta(1):%Y%m%d}"
        for offset in range(0, MOST, AT_ONCE):
            query = {"StudyDate": days, "includefield": COUNT, "limit": AT_ONCE, "offset": offset}
            studies = self._asked("/studies", query)
            yield from studies
            if len(studies) < AT_ONCE:
                return

    def _film(self, study: str, found: Any) -> Iterator[Missed]:
        series, instance = _first(found, SERIES), _first(found, INSTANCE)
        if not (UID.fullmatch(series) and UID.fullmatch(instance)) or not self._wanted(_first(found, MODALITY)):
            return
        if not self._queue.passed(self._source, instance):
            path = f"/studies/{study}/series/{series}/instances/{instance}"
            yield Missed(instance, partial(self._fetch, path), partial(self._queue.pass_by, self._source, instance))

    def _asked(self, path: str, query: dict[str, Any]) -> list[Any]:
        found = self._peer.json(f"{path}?{urlencode(query)}" if query else path, JSON)
        return found if isinstance(found, list) else []

    def _fetch(self, path: str, take: Callable[[Pieces], None]) -> bool:
        return self._peer.pieces(path, FILM, lambda kind, pieces: take(_only_part(kind, pieces)))


def _only_part(kind: str, pieces: Pieces) -> Pieces:
    """What stands between the boundaries of an answer that has one part."""
    boundary = parse_options_header(kind)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= LONGEST_BOUNDARY:
        raise Unreachable("answers with what is not multipart/related")
    held: list[bytes] = []
    parser = MultipartParser(boundary, {"on_part_data": lambda data, start, end: held.append(data[start:end])})
    for piece in pieces:
        try:
            parser.write(piece)
        except FormParserError:
            raise Unreachable("answers with what is not multipart/related") from None
        yield from held
        held.clear()


def _first(found: Any, tag: str) -> str:
    values = found.get(tag, {}).get("Value") or [""]
    return str(values[0])
