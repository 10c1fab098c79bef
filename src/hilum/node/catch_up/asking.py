"""An archive is asked, again and again, for films that the node does not have: those that came while it was down."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import IO, Protocol

from hilum.dicomweb.peer import Pieces, Unreachable
from hilum.node.catch_up.missed import Missed
from hilum.node.catch_up.orthanc import Orthanc
from hilum.node.intake import Intake, Outcome
from hilum.node.log import note, note_bug
from hilum.node.queue import Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.target import CatchUp
from hilum.node.spool import Spool
from hilum.system.database import DatabaseError


class Archive(Protocol):
    """Where films may be."""

    def missed(self) -> Iterator[Missed]:
        """Films of it, each looked at before the next one is asked for. Raises Unreachable."""


class Asking:
    """One archive, as long as the node runs. `failing` is why it could not be asked the last time."""

    def __init__(self, archive: CatchUp, settings: NodeSettings, spool: Spool, queue: Queue, intake: Intake) -> None:
        self.title = archive.title
        self.failing: str | None = None
        self.failing_since = 0.0
        self._every = archive.every_seconds
        self._most = settings.max_megabytes * 2**20
        self._spool = spool
        self._queue = queue
        self._intake = intake
        self._archive = _archive(archive, settings, queue)

    def run(self, stopped: Event) -> None:
        """Until it is to stop."""
        while not stopped.is_set():
            try:
                self._look(stopped)
                self.failing = None
            except (Unreachable, DatabaseError, OSError) as error:
                if self.failing is None:
                    self.failing_since = time.time()
                self.failing = str(error)
                note(f"catching up with {self.title}: {error}")
            except Exception as error:
                note_bug(f"catching up with {self.title}", error)
            stopped.wait(self._every)

    def _look(self, stopped: Event) -> None:
        for film in self._archive.missed():
            if stopped.is_set():
                return
            if not self._queue.knows(film.instance) and not self._fetched(film):
                raise Unreachable("waits, since there is no room for films")
            film.done()

    def _fetched(self, film: Missed) -> bool:
        """Whether it is done with: in the queue, or nothing for it."""
        with NamedTemporaryFile(dir=self._spool.arriving, delete=False) as file:
            arrived = Path(file.name)
            try:
                there = film.fetch(lambda pieces: _write(file, pieces, self._most))
            except BaseException:
                arrived.unlink(missing_ok=True)
                raise
        if not there or arrived.stat().st_size > self._most:
            arrived.unlink()
            return True
        note(f"catching up with {self.title}: a film that was not sent here")
        return self._intake.take(arrived, self.title).outcome is not Outcome.NO_ROOM


def _write(file: IO[bytes], pieces: Pieces, most: int) -> None:
    """No more than one piece beyond what a film may have."""
    for piece in pieces:
        file.write(piece)
        if file.tell() > most:
            return
    os.fsync(file.fileno())


def _archive(archive: CatchUp, settings: NodeSettings, queue: Queue) -> Archive:

    def wanted(modality: str) -> bool:
        """Whether a film of this modality may be one that a rule takes, which is known once it is there."""
        return any(not rule.modality or modality.upper() in map(str.upper, rule.modality) for rule in settings.rule)

    if archive.orthanc:
        return Orthanc(archive, queue, wanted)
    from hilum.node.catch_up.dicomweb import DicomWeb  # needs a package that the rest does not

    return DicomWeb(archive, queue, wanted)
