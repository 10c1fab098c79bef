"""Building a store: films decoded in parallel into one preallocated file, so that a kill at any moment costs little.

Finished rows are written down in a journal only after their pixels reached the disk; a later build believes the journal
and goes on. A lock keeps two builds of the same store apart: the second waits and then finds it done.
"""

from __future__ import annotations

import json
import math
import os
import shutil
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import asdict, dataclass
from pathlib import Path

from filelock import FileLock

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.processes import clean_processes
from hilum.dataset.store.decoding import Outcome, StoreError, Work, fill_rows
from hilum.radiograph.geometry import Geometry
from hilum.system.cores import available_cores
from hilum.system.files import FULL, sync_folder, write_whole
from hilum.system.text import megabytes

PIXELS, FACTS = "pixels.u8", "store.json"
CHUNK = 16
# Below this many films, starting processes costs more than they save.
WORTH_PROCESSES = 64
SYNC_SECONDS = 2.0


@dataclass(frozen=True, slots=True, eq=False)
class Blueprint:
    """A store that is to stand at `place`: a row for each of these files, of which so many may turn out unreadable."""

    manifest: Manifest
    geometry: Geometry
    digests: tuple[str, ...]
    place: Path
    skip_bad: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of its pixels: films, height, width."""
        return len(self.digests), self.geometry.height, self.geometry.width


def build(wanted: Blueprint, on_progress: Callable[[int, int], None], processes: int | None) -> None:
    """Make the store at its place, or find that another process just has."""
    place = wanted.place
    on_progress(0, len(wanted.digests))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(place.with_name(place.name + ".lock")):
            if (place / FACTS).is_file():
                return
            _build(wanted, on_progress, processes)
    except OSError as error:
        if error.errno in FULL:
            raise StoreError(
                f"{place.parent}: no room for the store, which takes {megabytes(math.prod(wanted.shape))}; "
                "make room or name another folder"
            ) from error
        if isinstance(error, PermissionError):
            raise StoreError(f"{place.parent}: cannot be written to; name another folder") from error
        raise


def _build(wanted: Blueprint, on_progress: Callable[[int, int], None], processes: int | None) -> None:
    manifest, digests, place = wanted.manifest, wanted.digests, wanted.place
    unfinished = place.with_name(place.name + ".building")
    unfinished.mkdir(exist_ok=True)
    journal = unfinished / "journal"
    done = _read_journal(journal, len(digests))
    if not done:  # a build that died before its first sync may have left a pixel file of any size
        _allocate(unfinished / PIXELS, math.prod(wanted.shape))
    paths = dict(zip(manifest.table["file_digest"].to_list(), manifest.table["path"].to_list(), strict=True))
    todo = [Work(row, manifest.path(paths[digest]), digest) for row, digest in enumerate(digests) if row not in done]
    on_progress(len(done), len(digests))
    skipped = {digests[row]: reason for row, reason in done.items() if reason}
    with (unfinished / PIXELS).open("r+b") as pixels, journal.open("a", encoding="utf-8") as written:
        pending: dict[int, str | None] = {}
        count, synced = len(done), time.monotonic()
        for outcomes in _decode(todo, wanted.geometry, unfinished / PIXELS, wanted.shape, processes):
            pending.update(outcomes)
            skipped.update((digests[row], reason) for row, reason in outcomes if reason)
            count += len(outcomes)
            on_progress(count, len(digests))
            # Seldom, since waiting for the disk costs more than decoding a few films again after a kill.
            if time.monotonic() - synced > SYNC_SECONDS or len(skipped) > wanted.skip_bad:
                _sync(pixels.fileno(), written.fileno(), pending)
                pending.clear()
                synced = time.monotonic()
            if len(skipped) > wanted.skip_bad:
                raise too_many_bad(manifest, paths_of(manifest, skipped), wanted.skip_bad)
        _sync(pixels.fileno(), written.fileno(), pending)
    facts = {"geometry": asdict(wanted.geometry), "digests": digests, "skipped": skipped}
    write_whole(unfinished / FACTS, json.dumps(facts))
    journal.unlink()
    if place.exists():  # without its facts: not a store
        shutil.rmtree(place)
    unfinished.rename(place)
    sync_folder(place.parent)


def paths_of(manifest: Manifest, skipped: dict[str, str]) -> dict[str, str]:
    """Reasons by path, where they were by digest."""
    table = manifest.table.filter(manifest.table["file_digest"].is_in(list(skipped)))
    return {path: skipped[digest] for path, digest in table.select("path", "file_digest").iter_rows()}


def too_many_bad(manifest: Manifest, bad: dict[str, str], skip_bad: int) -> StoreError:
    """One line that names the first film that cannot be read, and what to do about all of them."""
    path, reason = min(bad.items())
    more = f" (and {len(bad) - 1:,} more)" if len(bad) > 1 else ""
    allowed = f"only {skip_bad} may be skipped" if skip_bad else "none may be skipped"
    return StoreError(
        f"{manifest.path(path)}: {reason}{more}; {allowed}: take such films out of the manifest with "
        "`hilum data drop`, or allow more with --skip-bad"
    )


def _read_journal(journal: Path, films: int) -> dict[int, str | None]:
    """Rows that are on the disk for certain, and why the skipped ones are empty. A torn last line is not believed."""
    if not journal.is_file():
        return {}
    done: dict[int, str | None] = {}
    for line in journal.read_text(encoding="utf-8").split("\n")[:-1]:
        row, reason = json.loads(line)
        done[row] = reason
    return done if all(row < films for row in done) else {}


def _allocate(path: Path, size: int) -> None:
    """Take the room on the disk now, so that a full one is known before an hour of decoding."""
    with path.open("wb") as file:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
        else:
            file.truncate(max(size, 1))


def _sync(pixels: int, journal: int, outcomes: dict[int, str | None]) -> None:
    os.fsync(pixels)
    lines = "".join(json.dumps([row, reason]) + "\n" for row, reason in outcomes.items())
    os.write(journal, lines.encode())
    os.fsync(journal)


def _decode(
    todo: list[Work], geometry: Geometry, pixels: Path, shape: tuple[int, int, int], processes: int | None
) -> Iterator[list[Outcome]]:
    """Fill rows, chunk by chunk, in as many processes as there are cores."""
    chunks = [todo[start : start + CHUNK] for start in range(0, len(todo), CHUNK)]
    processes = processes or available_cores()
    if processes == 1 or len(todo) < WORTH_PROCESSES:
        for chunk in chunks:
            yield fill_rows(chunk, geometry, pixels, shape)
        return
    executor = clean_processes(processes)
    try:
        waiting: set[Future[list[Outcome]]] = set()
        for chunk in chunks:
            waiting.add(executor.submit(fill_rows, chunk, geometry, pixels, shape))
            if len(waiting) >= 4 * processes:
                finished, waiting = wait(waiting, return_when=FIRST_COMPLETED)
                for future in finished:
                    yield future.result()
        for future in waiting:
            yield future.result()
    except BrokenProcessPool:
        raise StoreError(
            "a process died while decoding films; if memory ran out, use fewer processes; running the same command "
            "again goes on from here"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)
