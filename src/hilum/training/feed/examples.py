"""Examples: which films of a manifest can be learned from, and what is known of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.patients import patients_of
from hilum.dataset.store.store import Store
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.patient import PATIENTS
from hilum.training.feed.boxes import boxes_in_picture
from hilum.training.recipe import RecipeError
from hilum.training.variation.augment import Floats


class Facts(NamedTuple):
    """What else is known of each film, for networks that are taught more than its class.

    `masks` is the row in the store of the same film with all but the lungs blackened, -1 where there is none; of a film
    that shows its lungs alone it is its own. `adult` and `pneumonia` are 1, 0, or -1 where unknown.
    """

    sources: list[str]
    labels: list[str]
    lungs_only: NDArray[np.bool_]
    masks: NDArray[np.int64]
    adult: NDArray[np.int8]
    pneumonia: NDArray[np.int8]


class Wanted(NamedTuple):
    """What to know of films beside their class; `lungs_only` are sources of films that show their lungs alone.

    Where these are `masks_only`, nothing is learned from them but where the lungs of the whole films are.
    """

    boxes: bool = False
    facts: bool = False
    lungs_only: tuple[str, ...] = ()
    masks_only: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """The films of a split that can be learned from: where their pictures are, what they show, which files they are.

    Where labels stand for one of several classes, `either` tells for each film which it may be, and `targets` names the
    first of them.
    """

    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    paths: list[str]
    patients: int
    either: NDArray[np.bool_] | None = None
    boxes: list[Floats | None] | None = None  # corners in pixels of the picture; None: nobody drew any
    facts: Facts | None = None

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def sure(self) -> NDArray[np.bool_]:
        """Which films are of one class for certain."""
        return np.ones(len(self), bool) if self.either is None else self.either.sum(1) == 1

    def counts(self, classes: int) -> list[int]:
        """Of films whose class is sure."""
        return [int(count) for count in np.bincount(self.targets[self.sure], minlength=classes)]


def choose_examples(
    manifest: Manifest,
    store: Store,
    classes: Mapping[str, Sequence[str]],
    splits: Sequence[str],
    wanted: Wanted = Wanted(),  # noqa: B008, it is immutable
) -> Examples:
    """The films of these splits whose label belongs to a class, in the order of their digests.

    A film that shows its lungs alone and the whole one that it was made from have the same `study`.
    """
    named = {label for labels in classes.values() for label in labels}
    may_be = {label: [label in labels for labels in classes.values()] for label in named}
    columns = ("file_digest", "path", "label", "patient")
    chosen = manifest.table.filter(side_of_film().is_in(splits))
    if wanted.masks_only:
        chosen = chosen.filter(~pl.col("source").is_in(list(wanted.lungs_only)))
    chosen = chosen.select(columns)
    films = sorted(
        (digest, path, may_be[label], patient)
        for digest, path, label, patient in chosen.iter_rows()
        if digest is not None and label in may_be
    )
    rows = store.rows([film[0] for film in films])
    kept = [film for film, row in zip(films, rows, strict=True) if row >= 0]
    either = np.array([film[2] for film in kept], bool).reshape(len(kept), len(classes))
    boxes = None
    if wanted.boxes:
        drawn = {path: known for path, *known in manifest.table.select("path", "boxes", "height", "width").iter_rows()}
        boxes = []
        for film in kept:
            known, height, width = drawn[film[1]]
            boxes.append(boxes_in_picture(known, height, width, store.geometry))
    return Examples(
        rows[rows >= 0],
        either.argmax(1).astype(np.int64),
        [film[1] for film in kept],
        len({film[3] for film in kept}),
        either if (either.sum(1) > 1).any() else None,
        boxes,
        _facts(manifest, store, [film[1] for film in kept], wanted.lungs_only) if wanted.facts else None,
    )


def _facts(manifest: Manifest, store: Store, paths: Sequence[str], lungs_only: Sequence[str]) -> Facts:
    columns = ("source", "study", "label", "pneumonia")
    rows = dict(zip(manifest.table["path"], manifest.table.select(columns).iter_rows(), strict=True))
    whose = dict(zip(manifest.table["path"], patients_of(manifest.table), strict=True))
    alone = manifest.table.filter(pl.col("source").is_in(list(lungs_only)) & pl.col("file_digest").is_not_null())
    found = store.rows(alone["file_digest"].to_list())
    pairs = dict(zip(alone["study"].to_list(), found.tolist(), strict=True))
    known = [rows[path] for path in paths]
    return Facts(
        [row[0] for row in known],
        [row[2] for row in known],
        np.array([row[0] in lungs_only for row in known], bool),
        np.array([-1 if row[1] is None else pairs.get(row[1], -1) for row in known], np.int64),
        np.array([-1 if (patient := whose[path]) is None else PATIENTS.index(patient) for path in paths], np.int8),
        np.array([-1 if row[3] is None else int(row[3]) for row in known], np.int8),
    )


class File(NamedTuple):
    """An original, and the size of its upright picture."""

    path: Path
    height: int
    width: int


class Originals(NamedTuple):
    """The files of examples, and how they are placed."""

    files: Sequence[File]
    geometry: Geometry


def originals(manifest: Manifest, examples: Examples, geometry: Geometry, feed: str) -> Originals:
    """For feeds that decode the files in every epoch, by libraries that know 8-bit pictures."""
    columns = ("format", "bits", "height", "width")
    facts = {path: found for path, *found in manifest.table.select("path", *columns).iter_rows()}
    for path in examples.paths:
        kind, bits = facts[path][:2]
        if kind not in ("jpeg", "png") or bits != 8:
            raise RecipeError(
                f"{manifest.path(path)}: {kind or 'of unknown format'}{f' of {bits} bits' if bits else ''}, and "
                f"training.feed = {feed} decodes JPEG and PNG files of 8 bits; use training.feed = store"
            )
    return Originals([File(manifest.path(path), *facts[path][2:]) for path in examples.paths], geometry)
