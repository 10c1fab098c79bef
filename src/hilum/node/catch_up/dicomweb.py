"""What an archive has of the last days, by QIDO-RS, and films by WADO-RS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date, timedelta
from functools import partial

from hilum.dicomweb.query import Instance, instances, studies
from hilum.dicomweb.retrieve import retrieve
from hilum.node.catch_up.missed import Missed
from hilum.node.queue import Queue
from hilum.node.settings.target import CatchUp
from hilum.node.targets.peer import peer_at

MOST = 10_000  # studies


class DicomWeb:
    """Studies by their date, then the instances of those that have grown since they were looked at."""

    def __init__(self, archive: CatchUp, queue: Queue, wanted: Callable[[str], bool]) -> None:
        self._peer = peer_at(archive.dicomweb, archive.tls, archive.credentials_file)
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
        today = date.today()
        days = f"{today - timedelta(self._days):%Y%m%d}-{today + timedelta(1):%Y%m%d}"
        for study in studies(self._peer, {"StudyDate": days}, MOST):
            state = f"{study.uid} {study.size}"
            if study.size and self._queue.passed(self._source, state):
                continue
            self._before.add(state)
            if state not in before:
                continue
            for found in instances(self._peer, study.uid):
                yield from self._film(found)
            if study.size:
                self._queue.pass_by(self._source, state)

    def _film(self, found: Instance) -> Iterator[Missed]:
        if self._wanted(found.modality) and not self._queue.passed(self._source, found.uid):
            fetch = partial(retrieve, self._peer, found.path)
            yield Missed(found.uid, fetch, partial(self._queue.pass_by, self._source, found.uid))
