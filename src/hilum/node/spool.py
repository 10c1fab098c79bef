"""Where films and results lie until they are done with: a folder of the node's own, under names of its own."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from threading import Lock

from hilum.node.queue import Queue
from hilum.system.database import Database
from hilum.system.files import sync_folder, write_whole

RUNNING = "running.sqlite"  # held by the node that runs
OF_STUDY = ("sr.dcm", "json")  # what the report of a study is made of, should another film of it come
LEAST_FREE = 2**29  # bytes of the disk that are left to others
PARTS = ("arriving", "films", "results")


class Spool:
    """A folder that nobody else may read. What nobody has been told of is gone with the next start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arriving, self._films, self._results = (folder / part for part in PARTS)
        self._looking = Lock()
        self._looked, self._size, self._free = -2.0, 0, 0

    def make(self) -> None:
        """The folders, for their owner alone."""
        for folder in (self.folder, self.arriving, self._films, self._results):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o700)

    def hold(self) -> Database:
        """So that no second node runs on it. Raises DatabaseError."""
        return Database(self.folder / RUNNING, "CREATE TABLE IF NOT EXISTS held (node)", alone=True)

    def tidy(self, queue: Queue) -> None:
        """Remove what a killed node has left and the queue does not know."""
        needed, reported = queue.numbers(), queue.reported_numbers()
        for path in self.arriving.iterdir():
            path.unlink()
        for folder in (self._films, self._results):
            for path in folder.iterdir():
                number, _, kind = path.name.partition(".")
                known = number.isdigit() and int(number) in (reported | needed if kind in OF_STUDY else needed)
                if not known:
                    path.unlink(missing_ok=True)

    def film(self, number: int) -> Path:
        """A film that has arrived."""
        return self._films / f"{number}.dcm"

    def result(self, number: int, kind: str) -> Path:
        """What was made of it."""
        return self._results / f"{number}.{kind}.dcm"

    def keep(self, arrived: Path, number: int) -> None:
        """A film takes its place; its content is on the disk already, its name when this returns."""
        arrived.replace(self.film(number))
        sync_folder(self._films)

    def write(self, number: int, kind: str, content: bytes) -> None:
        """A result, on the disk when this returns."""
        write_whole(self.result(number, kind), content)

    def line(self, number: int) -> Path:
        """The answer as `hilum predict --json` prints it, of films that are sent nowhere or belong to a study."""
        return self._results / f"{number}.json"

    def write_line(self, number: int, line: bytes) -> None:
        """See line."""
        write_whole(self.line(number), line + b"\n")

    def has_room(self, gigabytes: float) -> bool:
        """Whether another film may come: the spool is below its limit, and so is the disk. Looked up once a second."""
        with self._looking:
            if time.monotonic() - self._looked > 1:
                self._size = sum(path.stat().st_size for folder in self._folders() for path in _files(folder))
                self._free = shutil.disk_usage(self.folder).free
                self._looked = time.monotonic()
            return self._size < gigabytes * 2**30 and self._free > LEAST_FREE

    @property
    def size(self) -> int:
        """Bytes of films and results, when that was looked up last."""
        return self._size

    def delivered(self, number: int) -> None:
        """Every target has its results: what is not needed for its study goes."""
        keep = {f"{number}.{kind}" for kind in OF_STUDY} if self.line(number).exists() else set()
        self._remove(number, keep)

    def remove(self, number: int) -> None:
        """Its files are not needed any more."""
        self._remove(number, set())

    def _remove(self, number: int, keep: set[str]) -> None:
        self.film(number).unlink(missing_ok=True)
        for path in self._results.glob(f"{number}.*"):
            if path.name not in keep:
                path.unlink(missing_ok=True)

    def _folders(self) -> tuple[Path, ...]:
        return self.arriving, self._films, self._results


def _files(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Those that are there, and may be gone a moment later."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(FileNotFoundError):
                entry.stat()  # which it keeps
                yield entry
