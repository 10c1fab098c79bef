"""The films under audit: the manifest's rows with small pictures of them, and which rows show the same exposure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hilum.dataset.audit.fingerprint import find_pairs, structures, thumbnails
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.store.store import Store

OnProgress = Callable[[str, int, int], None]
Groups = list[list[int]]  # rows of the table


@dataclass(frozen=True, slots=True, eq=False)
class AuditedFilms:
    """`table` is the manifest's, by path. `small` and `structure` have a row for each distinct readable picture, and
    `picture` says which one a film has: -1 where it cannot be read."""

    manifest: Manifest
    table: pl.DataFrame
    store: Store
    picture: NDArray[np.int64]
    small: NDArray[np.uint8]
    structure: NDArray[np.float32]
    identical: Groups  # by their pixels
    similar: Groups  # of the same exposure but not all with the same pixels
    paths: list[str]
    sides: list[str | None]  # the side of the split that each film is on
    side_column: str

    @property
    def same(self) -> Groups:
        """All groups of films of the same exposure, whether or not their pixels are the same."""
        rows = {row for group in self.similar for row in group}
        return self.similar + [group for group in self.identical if group[0] not in rows]

    def first_film(self, picture: int) -> int:
        """The row of the first film that shows this picture."""
        return int(np.flatnonzero(self.picture == picture)[0])


def gather(manifest: Manifest, store: Store, on_progress: OnProgress) -> AuditedFilms:
    """Look at every film once, for all checks."""
    table = manifest.table.sort("path")
    stored = store.rows(table["file_digest"].to_list())
    # One picture for all films of the same pixels; where no digest of the pixels is known, that of the file stands in.
    names = table.select(pl.coalesce("pixel_digest", "file_digest", "path")).to_series().to_list()
    first: dict[str, int] = {}
    for row in np.flatnonzero(stored >= 0).tolist():
        first.setdefault(names[row], row)
    position = {name: place for place, name in enumerate(sorted(first))}
    picture = np.array(
        [position[name] if at >= 0 else -1 for name, at in zip(names, stored, strict=True)], np.int64
    ).reshape(-1)
    rows = stored[[first[name] for name in position]].astype(np.int64)
    small = thumbnails(store.pixels, rows, lambda done, total: on_progress("looking at films", done, total))
    structure = structures(small)
    pairs = find_pairs(small, structure, lambda done, total: on_progress("comparing films", done, total))
    identical = _groups_of(zip(names, range(table.height), strict=True))
    films_of: dict[int, list[int]] = defaultdict(list)
    for row, place in enumerate(picture.tolist()):
        films_of[place].append(row)
    linked = linked_groups([(pair.first, pair.second) for pair in pairs])
    similar = [sorted(row for place in group for row in films_of[place]) for group in linked]
    column = "split" if table["split"].null_count() < table.height else "official_split"
    return AuditedFilms(
        manifest=manifest,
        table=table,
        store=store,
        picture=picture,
        small=small,
        structure=structure,
        identical=identical,
        similar=similar,
        paths=table["path"].to_list(),
        sides=table[column].to_list(),
        side_column=column,
    )


def linked_groups(pairs: Sequence[tuple[int, int]]) -> Groups:
    """Everything that is linked through pairs, directly or through others."""
    parents: dict[int, int] = {}

    def root(item: int) -> int:
        parents.setdefault(item, item)
        while parents[item] != item:
            parents[item] = parents[parents[item]]
            item = parents[item]
        return item

    for first, second in pairs:
        low, high = sorted((root(first), root(second)))
        parents[high] = low
    return _groups_of((str(root(item)), item) for item in sorted(parents))


def _groups_of(named: Iterable[tuple[str, int]]) -> Groups:
    groups: dict[str, list[int]] = defaultdict(list)
    for name, row in named:
        groups[name].append(row)
    return [group for group in groups.values() if len(group) > 1]
