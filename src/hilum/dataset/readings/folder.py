"""Readings in a folder: a file a reader, one line a reading, lines only ever added.

A reading is on the disk when `add_reading` returns. What a kill or a full disk leaves of a line is no reading: it is
left out when the file is read, and cut off before the next line is added.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hilum.dataset.readings.reading import Key, Reading, from_line
from hilum.system.files import not_written, sync_folder, write_all

FOLDER = "readings"
PLAIN = re.compile(r"[a-z0-9][a-z0-9_-]{0,39}")
TAIL = 1 << 16


class ReadingsError(ValueError):
    """A folder of readings that cannot be read, in one line that says what to do."""


def file_of(folder: Path, reader: str) -> Path:
    """Where a reader's readings lie in a folder: by the name where every file system takes it, else by a digest too."""
    if PLAIN.fullmatch(reader):
        return folder / FOLDER / f"{reader}.jsonl"
    plain = re.sub(r"[^a-z0-9]+", "-", reader.lower()).strip("-")[:20]
    digest = hashlib.blake2b(reader.encode(), digest_size=6).hexdigest()
    return folder / FOLDER / f"{plain or 'reader'}-{digest}.jsonl"


def add_reading(folder: Path, reading: Reading) -> None:
    """Keep a reading. Raises OSError where it cannot be kept; then nothing of it is."""
    path = file_of(folder, reading.reader)
    line = reading.to_line().encode()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        with _alone(path) as descriptor:
            size = _whole_lines(descriptor)
            os.ftruncate(descriptor, size)
            os.lseek(descriptor, size, os.SEEK_SET)
            try:
                write_all(descriptor, line)
                os.fsync(descriptor)
            except OSError:
                os.ftruncate(descriptor, size)
                raise
        if is_new:
            sync_folder(path.parent)
    except OSError as error:
        raise not_written(error, path) from error


def load_readings(folder: str | os.PathLike[str]) -> list[Reading]:
    """The readings of a folder that count, in the order in which they were given. Raises ReadingsError."""
    files = sorted((Path(folder) / FOLDER).glob("*.jsonl"))
    if not files:
        raise ReadingsError(f"{folder}: holds no readings; name the folder that hilum label was given as --out")
    given = (reading for path in files for reading in read_file(path))
    return sorted(latest(given), key=lambda reading: reading.given)


def read_file(path: Path) -> Iterator[Reading]:
    """Every line of a file as it was given, those that a later one replaces, too. Raises ReadingsError."""
    content = path.read_bytes()
    lines = content.split(b"\n")[:-1]  # what follows the last line end is a line that was torn
    for number, line in enumerate(lines, start=1):
        try:
            yield from_line(line)
        except (json.JSONDecodeError, UnicodeDecodeError):
            raise _no_reading(path, number, "not JSON") from None
        except ValueError as error:
            raise _no_reading(path, number, str(error)) from None


def latest(readings: Iterable[Reading]) -> list[Reading]:
    """Of each reader's readings of a film the last one, unless it was withdrawn."""
    last: dict[Key, Reading] = {}
    for reading in readings:
        last.pop(reading.key, None)
        last[reading.key] = reading
    return [reading for reading in last.values() if not reading.withdrawn]


def _no_reading(path: Path, number: int, reason: str) -> ReadingsError:
    return ReadingsError(f"{path}: line {number} is no reading ({reason}); restore the file, or take that line out")


def _whole_lines(descriptor: int) -> int:
    """How much of the file is whole lines."""
    end = os.fstat(descriptor).st_size
    while end:
        start = max(end - TAIL, 0)
        os.lseek(descriptor, start, os.SEEK_SET)
        found = os.read(descriptor, end - start).rfind(b"\n")
        if found >= 0:
            return start + found + 1
        end = start
    return 0


@contextmanager
def _alone(path: Path) -> Iterator[int]:
    """The file, open, while no other process adds to it."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600)
    try:
        _lock(descriptor)
        yield descriptor
    finally:
        os.close(descriptor)  # which gives the lock back


def _lock(descriptor: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(descriptor, msvcrt.LK_LOCK, 1)
    else:
        import fcntl

        fcntl.flock(descriptor, fcntl.LOCK_EX)
