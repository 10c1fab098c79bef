"""Where films and results lie until they are done with: a folder of the node's own, under names of its own."""

from __future__ import annotations

from pathlib import Path

from hilum.node.queue import Queue
from hilum.system.database import Database
from hilum.system.files import sync_folder, write_whole

RUNNING = "running.sqlite"  # held by the node that runs
PARTS = ("arriving", "films", "results")


class Spool:
    """A folder that nobody else may read. What nobody has been told of is gone with the next start."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.arriving, self._films, self._results = (folder / part for part in PARTS)

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
        needed = queue.numbers()
        for path in self.arriving.iterdir():
            path.unlink()
        for folder in (self._films, self._results):
            for path in folder.iterdir():
                if path.name.startswith(".") or int(path.name.partition(".")[0]) not in needed:
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

    def write_line(self, number: int, line: bytes) -> None:
        """The answer as `hilum predict --json` prints it, beside results that are sent nowhere."""
        write_whole(self._results / f"{number}.json", line + b"\n")

    def remove(self, number: int) -> None:
        """Its files are not needed any more."""
        self.film(number).unlink(missing_ok=True)
        for path in self._results.glob(f"{number}.*"):
            path.unlink(missing_ok=True)
