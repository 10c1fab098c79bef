"""What is new in Orthanc, by its feed of changes: each instance that was stored has a number there, in order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from hilum.dicomweb.peer import Pieces, Unreachable
from hilum.node.catch_up.missed import Missed
from hilum.node.queue import Queue
from hilum.node.settings.target import CatchUp
from hilum.node.targets.peer import peer_at

AT_ONCE = 100


class Orthanc:
    """From the first start on: what was there before is not looked for.

    A change counts once it was there a turn before, so that a film that Orthanc is just sending is not fetched as well.
    """

    def __init__(self, archive: CatchUp, queue: Queue, wanted: Callable[[str], bool]) -> None:
        self._peer = peer_at(archive.orthanc, archive.tls, archive.credentials_file)
        self._queue = queue
        self._wanted = wanted
        self._source = archive.orthanc
        self._ripe = 0

    def missed(self) -> Iterator[Missed]:
        """In the order of their arrival there. Raises Unreachable."""
        last = int(self._asked("/changes?last")["Last"])
        place = self._queue.place(self._source)
        if place is None or place > last:  # the first time, or another Orthanc, which counts anew
            self._queue.move(self._source, last)
            self._ripe = last
            return
        ripe, self._ripe = self._ripe, last
        while place < ripe:
            page = self._asked(f"/changes?since={place}&limit={AT_ONCE}")
            changes = [change for change in page["Changes"] if int(change["Seq"]) <= ripe]
            for change in changes:
                if change["ChangeType"] == "NewInstance":
                    yield from self._film(str(change["ID"]))
            if not changes:
                return
            place = int(changes[-1]["Seq"])
            self._queue.move(self._source, place)

    def _film(self, resource: str) -> Iterator[Missed]:
        if not resource.replace("-", "").isalnum():
            return
        try:
            described = self._asked(f"/instances/{resource}")
            series = self._asked(f"/instances/{resource}/series")
        except Unreachable as error:
            if error.status == 404:  # deleted since
                return
            raise
        if self._wanted(str(series["MainDicomTags"].get("Modality", ""))):
            instance = str(described["MainDicomTags"]["SOPInstanceUID"])
            yield Missed(instance, partial(self._fetch, resource), lambda: None)

    def _fetch(self, resource: str, take: Callable[[Pieces], None]) -> bool:
        return self._peer.pieces(f"/instances/{resource}/file", "application/dicom", lambda _, pieces: take(pieces))

    def _asked(self, path: str) -> Any:
        return self._peer.json(path)
