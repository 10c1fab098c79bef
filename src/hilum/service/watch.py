"""Films that arrive in a folder, judged once each when they are whole, with results beside them in another folder.

A share on a network tells nobody what is new, so the folder is looked through again and again. A film is whole when it
has not changed for a while; one that cannot be read yet gets more time, since its sender may have stalled.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from hilum.output.journal import Entry, Journal
from hilum.radiograph.folder import files_below, may_be_film
from hilum.service.films.pool import FilmBug, FilmPool, Unavailable
from hilum.service.films.served import FAILED, Answer, Wanted
from hilum.system.files import write_whole

JOURNAL = ".hilum-journal.sqlite"
PARTIAL = frozenset({".part", ".partial", ".tmp", ".crdownload", ".filepart"})  # as senders name what is not whole
STALLED = 20  # times as long as a film must have been still: then it will not change any more
PAUSE = 0.5


class Counts(NamedTuple):
    """How many films were judged since the last time, and how many of them could not be read."""

    films: int
    failed: int


@dataclass(slots=True)
class Arriving:
    """A film that was seen and is not done: as it was then, and when it is to be judged."""

    version: str
    since: float
    due: float


class Watch:
    """Looks through `folder` and writes to `out`. A film that has been still for `settle` seconds counts as whole."""

    def __init__(self, folder: Path, out: Path, pool: FilmPool, wanted: Wanted, settle: float) -> None:
        self._folder = folder
        self._out = out
        self._pool = pool
        self._wanted = wanted
        self._settle = settle
        self._arriving: dict[Path, Arriving] = {}
        self._done: dict[Path, str] = {}
        self._judging: dict[Path, Future[Answer]] = {}

    def run(self, stopped: Callable[[], bool], on_quiet: Callable[[Counts], object]) -> None:
        """Until it is to stop; films at hand are finished. `on_quiet` is called when nothing is left to do for now."""
        films = failed = 0
        self._out.mkdir(parents=True, exist_ok=True)
        with Journal(self._out / JOURNAL) as journal:
            for entry in journal.pending():
                self._give_out(journal, entry)
            while not stopped() or self._judging:
                if not stopped():
                    self._look(journal)
                for path in [path for path, answer in self._judging.items() if answer.done()]:
                    outcome = self._finish(journal, path)
                    films += outcome is not None
                    failed += outcome == FAILED
                if films and not self._judging:
                    on_quiet(Counts(films, failed))
                    films = failed = 0
                time.sleep(PAUSE if not self._judging else PAUSE / 20)

    def _look(self, journal: Journal) -> None:
        """See what is there, and hand films that are whole to the processes, a few at a time."""
        now = time.monotonic()
        for path in self._files():
            version = _version(path)
            if version is None or self._done.get(path) == version or path in self._judging:
                continue
            arriving = self._arriving.get(path)
            if arriving is None or arriving.version != version:
                if journal.version(self._name(path)) == version or not may_be_film(path):
                    self._done[path] = version
                else:
                    self._arriving[path] = Arriving(version, now, now + self._settle)
            elif now >= arriving.due and len(self._judging) < 2 * self._pool.processes:
                self._judging[path] = self._pool.submit(self._wanted._replace(path=str(path)), bytearray())

    def _files(self) -> list[Path]:
        """What is there now; nothing while the folder cannot be reached, as a share that is away."""
        try:
            return [path for path in files_below(self._folder) if path.suffix.lower() not in PARTIAL]
        except OSError:
            return []

    def _finish(self, journal: Journal, path: Path) -> str | None:
        """Put down what was said of a film, unless it has changed meanwhile or may still do so; what came out."""
        arriving = self._arriving[path]
        try:
            answer = self._judging.pop(path).result()
        except Unavailable:
            return None
        except FilmBug as bug:  # it is tried again with the next start, maybe of a hilum without that fault
            print(f"a film ended in a bug of hilum:\n{bug}", file=sys.stderr, flush=True)
            self._done[path] = self._arriving.pop(path).version
            return FAILED
        if _version(path) != arriving.version:
            del self._arriving[path]  # it was not whole, or is gone
            return None
        still = arriving.since + STALLED * self._settle
        if answer.outcome == FAILED and arriving.due < still:
            arriving.due = still
            return None
        target = self._target(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        for kind, picture in zip(self._wanted.pictures, answer.pictures, strict=True):
            if picture:
                write_whole(target.with_name(f"{target.name}.{kind}.png"), picture)
        entry = Entry(self._name(path), arriving.version, answer.line.decode())
        journal.judged(entry)
        self._give_out(journal, entry)
        self._done[path] = arriving.version
        del self._arriving[path]
        return answer.outcome

    def _give_out(self, journal: Journal, entry: Entry) -> None:
        """The line comes last: where it is, the film's other results are, too."""
        target = self._out / os.fsdecode(entry.film)
        target.parent.mkdir(parents=True, exist_ok=True)
        write_whole(target.with_name(f"{target.name}.json"), f"{entry.answer}\n")
        journal.given_out(entry.film)

    def _name(self, path: Path) -> bytes:
        return os.fsencode(path.relative_to(self._folder))

    def _target(self, path: Path) -> Path:
        return self._out / path.relative_to(self._folder)


def _version(path: Path) -> str | None:
    """What changes when a file does; None where it is gone."""
    try:
        status = path.stat()
    except OSError:
        return None
    return f"{status.st_size} {status.st_mtime_ns}"
