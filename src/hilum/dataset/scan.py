"""What films are made of, and digests of their bytes and pixels: every file decoded once, in parallel."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.dataset.processes import clean_processes
from hilum.dataset.sources.source import SourceError
from hilum.radiograph import ReadError, open_film, read
from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.system.cores import available_cores
from hilum.system.files import content_digest

# Starting a process costs what decoding this many small films does.
WORTH_PROCESSES = 256
CHUNK = 32


@dataclass(frozen=True, slots=True)
class FileFacts:
    """What the file itself says. `error` is the reason why it cannot be read; the pixel facts are then unknown."""

    format: str | None = None
    mode: str | None = None
    encoding: str | None = None
    bits: int | None = None
    width: int | None = None
    height: int | None = None
    view: str | None = None
    file_bytes: int | None = None
    file_digest: str | None = None
    pixel_digest: str | None = None
    error: str | None = None


def scan_films(
    paths: Sequence[Path], on_progress: Callable[[int], None] | None = None, processes: int | None = None
) -> list[FileFacts]:
    """Decode every film; an unreadable one gives an error. `on_progress` is told how many are done."""
    report = on_progress or (lambda done: None)
    processes = processes or available_cores()
    if processes == 1 or len(paths) < WORTH_PROCESSES:
        films = []
        for path in paths:
            films.append(scan_film(path))
            report(len(films))
        return films
    return _in_processes(paths, report, processes)


def scan_film(path: Path) -> FileFacts:
    """What one file says of itself. It never fails: what cannot be read has an error."""
    try:
        with open_film(path) as file:
            file_bytes = os.fstat(file.fileno()).st_size
            # A file over the reader's limit is never loaded: the reader refuses it by its size.
            content = file.read() if file_bytes <= MAX_FILE_BYTES else None
    except ReadError as error:
        return FileFacts(error=f"{error.reason}: {error.detail}")
    except OSError as error:
        return FileFacts(error=f"cannot_open: {error.strerror}")
    file_digest = None if content is None else content_digest(content)
    try:
        radiograph = read(path if content is None else content)
    except ReadError as error:
        return FileFacts(file_bytes=file_bytes, file_digest=file_digest, error=f"{error.reason}: {error.detail}")
    except Exception as error:  # a bug in hilum: which film brings it out is half of the report
        error.add_note(f"while reading {path}")
        raise
    return FileFacts(
        format=radiograph.format,
        mode=radiograph.mode,
        encoding=radiograph.encoding,
        bits=radiograph.bits,
        width=radiograph.width,
        height=radiograph.height,
        view=radiograph.view,
        file_bytes=file_bytes,
        file_digest=file_digest,
        pixel_digest=pixel_digest(radiograph.pixels),
    )


def pixel_digest(pixels: NDArray[np.float32]) -> str:
    """One name for a picture, the same for every lossless encoding of it: 16 bits a pixel tell all films apart."""
    levels = np.rint(pixels * np.float32(65535)).astype("<u2")
    height, width = levels.shape
    digest = hashlib.blake2b(f"{height} x {width}\n".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(levels).data)
    return digest.hexdigest()


def _in_processes(paths: Sequence[Path], report: Callable[[int], None], processes: int) -> list[FileFacts]:
    executor = clean_processes(processes)
    chunks = [paths[start : start + CHUNK] for start in range(0, len(paths), CHUNK)]
    found: list[list[FileFacts]] = [[] for _ in chunks]
    done = 0
    try:
        futures = {executor.submit(_scan_chunk, chunk): index for index, chunk in enumerate(chunks)}
        for future in as_completed(futures):
            films = found[futures[future]] = future.result()
            done += len(films)
            report(done)
    except BrokenProcessPool:
        raise SourceError(
            f"a process died while decoding films, after {done:,} of {len(paths):,}; if memory ran out, use fewer "
            "processes; if not, a damaged film crashes a codec: --processes 1 will show where"
        ) from None
    finally:
        executor.shutdown(cancel_futures=True)
    return [film for films in found for film in films]


def _scan_chunk(paths: Sequence[Path]) -> list[FileFacts]:
    return [scan_film(path) for path in paths]
