"""An archive is asked, again and again, for films that the node does not have: those that came while it was down."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import NamedTemporaryFile
from threading import Event
from typing import IO, Protocol

from hilum.node.catch_up.missed import Missed, Pieces
from hilum.node.catch_up.orthanc import Orthanc
from hilum.node.intake import Outcome
from hilum.node.log import note, note_bug
from hilum.node.running import Running
from hilum.node.settings.target import CatchUp
from hilum.node.targets.way import Unreachable
from hilum.system.database import DatabaseError


class Archive(Protocol):
    """Where films may be."""

    def missed(self) -> Iterator[Missed]:
        """Films of it, each looked at before the next one is asked for. Raises Unreachable."""


class Asking:
    """One archive, as long as the node runs. `failing` is why it could not be asked the last time."""

    def __init__(self, archive: CatchUp, running: Running) -> None:
        self.title = archive.title
        self.failing: str | None = None
        self._every = archive.every_seconds
        self._node = running
        self._archive = _archive(archive, running)

    def run(self, stopped: Event) -> None:
        """Until it is to stop."""
        while not stopped.is_set():
            try:
                self._look(stopped)
                self.failing = None
            except (Unreachable, DatabaseError, OSError) as error:
                self.failing = str(error)
                note(f"catching up with {self.title}: {error}")
            except Exception as error:
                note_bug(f"catching up with {self.title}", error)
            stopped.wait(self._every)

    def _look(self, stopped: Event) -> None:
        for film in self._archive.missed():
            if stopped.is_set():
                return
            if not self._node.queue.knows(film.instance) and not self._fetched(film):
                raise Unreachable("waits, since there is no room for films")
            film.done()

    def _fetched(self, film: Missed) -> bool:
        """Whether it is done with: in the queue, or nothing for it."""
        most = self._node.settings.max_megabytes * 2**20
        with NamedTemporaryFile(dir=self._node.spool.arriving, delete=False) as file:
            arrived = Path(file.name)
            try:
                there = film.fetch(lambda pieces: _write(file, pieces, most))
            except BaseException:
                arrived.unlink(missing_ok=True)
                raise
        if not there or arrived.stat().st_size > most:
            arrived.unlink()
            return True
        note(f"catching up with {self.title}: a film that was not sent here")
        return self._node.intake.take(arrived, self.title).outcome is not Outcome.NO_ROOM


def _write(file: IO[bytes], pieces: Pieces, most: int) -> None:
    """No more than one piece beyond what a film may have."""
    for piece in pieces:
        file.write(piece)
        if file.tell() > most:
            return
    os.fsync(file.fileno())


def _archive(archive: CatchUp, running: Running) -> Archive:
    rules = running.settings.rule

    def wanted(modality: str) -> bool:
        """Whether a film of this modality may be one that a rule takes, which is known once it is there."""
        return any(not rule.modality or modality.upper() in map(str.upper, rule.modality) for rule in rules)

    if archive.orthanc:
        return Orthanc(archive, running.queue, wanted)
    from hilum.node.catch_up.dicomweb import DicomWeb  # needs a package that the rest does not

    return DicomWeb(archive, running.queue, wanted)
