"""What a worker process does for a store: films into rows. It imports little, so that workers start at once."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.radiograph import ReadError, content_of, open_film, read
from hilum.radiograph.geometry import Geometry
from hilum.system.files import content_digest


class StoreError(RuntimeError):
    """A store that cannot be built or used; one line with what to do."""


class Work(NamedTuple):
    """A film to be decoded into a row."""

    row: int
    path: Path
    digest: str


Outcome = tuple[int, str | None]  # the row, and why it could not be filled


def fill_rows(chunk: list[Work], geometry: Geometry, pixels: Path, shape: tuple[int, int, int]) -> list[Outcome]:
    """Decode films into their rows of the file `pixels`; every worker maps it for itself."""
    rows = np.memmap(pixels, np.uint8, "r+", shape=shape)
    return [(work.row, _fill_row(rows[work.row], work, geometry)) for work in chunk]


def _fill_row(row: NDArray[np.uint8], work: Work, geometry: Geometry) -> str | None:
    """Why the film cannot be decoded, if so. That lies in its bytes and is for good; a missing file may return."""
    try:
        with open_film(work.path) as file:
            content = content_of(file)
    except ReadError as error:  # no file at all any more, which is not for good either
        raise StoreError(f"{work.path}: {error.detail}; or import the data set again") from error
    except OSError as error:
        raise StoreError(f"{work.path}: {error.strerror}; put it back, or import the data set again") from error
    if content_digest(content) != work.digest:
        raise StoreError(f"{work.path}: changed since it was imported; run `hilum data import` again")
    try:
        row[:] = geometry.apply(read(content, at_least=geometry.at_least).pixels)
    except ReadError as error:
        return f"{error.reason}: {error.detail}"
    return None
