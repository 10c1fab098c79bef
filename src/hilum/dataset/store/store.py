"""The Store: every film of a data set decoded once, at one geometry, in a memory-mapped array of grey levels.

A store is named by what is in it (the digests of the files, the geometry, this format's version), so labels and splits
may change without decoding anything again, and one that is there is known to be right. It is built beside its final
place and renamed when complete: whatever is found under its name is whole.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.build import FACTS, PIXELS, Blueprint, build, paths_of, too_many_bad
from hilum.dataset.store.decoding import StoreError
from hilum.radiograph.geometry import Geometry
from hilum.system.files import cache_folder

__all__ = ["Store", "StoreError", "build_store", "open_store"]

# To be raised whenever reading or scaling changes what a film looks like.
STORE_VERSION = 1


@dataclass(frozen=True, slots=True, eq=False)
class Store:
    """`pixels` is (films, height, width), uint8, read-only, one row for each distinct file of the manifest."""

    pixels: NDArray[np.uint8]
    geometry: Geometry
    folder: Path
    digests: tuple[str, ...]
    skipped: dict[str, str]

    def rows(self, file_digests: Sequence[str | None]) -> NDArray[np.int64]:
        """Where each file's picture is; -1 where the file could not be read and was skipped."""
        position = {digest: row for row, digest in enumerate(self.digests) if digest not in self.skipped}
        return np.array([-1 if digest is None else position.get(digest, -1) for digest in file_digests], np.int64)


def store_folder(digests: Sequence[str], geometry: Geometry, folder: Path | None) -> Path:
    """The place of the store of these files at this geometry."""
    named = hashlib.blake2b(digest_size=12)
    named.update(json.dumps([STORE_VERSION, asdict(geometry), list(digests)]).encode())
    return (folder or cache_folder() / "stores") / f"{geometry.height}x{geometry.width}-{named.hexdigest()}"


def distinct_digests(manifest: Manifest) -> tuple[str, ...]:
    """The files of a manifest, each once, in an order that does not depend on the table's."""
    return tuple(sorted(manifest.table["file_digest"].drop_nulls().unique().to_list()))


def build_store(
    manifest: Manifest,
    geometry: Geometry,
    folder: Path | None = None,
    *,
    skip_bad: int = 0,
    on_progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> Store:
    """The store of a manifest's films: opened at once if it is there, else built, or taken up where a build stopped.

    Fails on a film that cannot be read, unless up to `skip_bad` of them may be left out; these are listed in
    `skipped`. `on_progress` is told how many films are done, of how many.
    """
    unopened = manifest.table.filter(pl.col("file_digest").is_null())
    bad = {path: reason or "never scanned" for path, reason in unopened.select("path", "error").iter_rows()}
    if len(bad) > skip_bad:
        raise too_many_bad(manifest, bad, skip_bad)
    digests = distinct_digests(manifest)
    place = store_folder(digests, geometry, folder)
    if not (place / FACTS).is_file():
        wanted = Blueprint(manifest, geometry, digests, place, skip_bad - len(bad))
        build(wanted, on_progress or (lambda done, total: None), processes)
    store = open_store(place)
    if len(bad) + len(store.skipped) > skip_bad:
        raise too_many_bad(manifest, bad | paths_of(manifest, store.skipped), skip_bad)
    return store


def open_store(place: Path) -> Store:
    """The store in this folder, mapped into memory."""
    facts = json.loads((place / FACTS).read_text(encoding="utf-8"))
    geometry = Geometry(**facts["geometry"])
    shape = (len(facts["digests"]), geometry.height, geometry.width)
    size = (place / PIXELS).stat().st_size
    if size != max(np.prod(shape, dtype=np.int64), 1):
        raise StoreError(f"{place}: the pixels are {size:,} bytes, not what they were built with; delete this folder")
    pixels = np.memmap(place / PIXELS, np.uint8, "r", shape=shape) if shape[0] else np.empty(shape, np.uint8)
    return Store(pixels, geometry, place, tuple(facts["digests"]), facts["skipped"])
