"""Readings become labels: a new manifest, the old labels beside the new ones, everything else as it was."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import polars as pl

from hilum.dataset.manifest.check import BOX_LIST, TEXT_LIST
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.readings.folder import ReadingsError
from hilum.dataset.readings.reading import Box, Reading
from hilum.dataset.readings.verdict import ADJUDICATED, MAJORITY, Verdict, verdict
from hilum.dataset.sources.values import means_pneumonia

BEFORE = ("label", "pneumonia", "boxes")  # each is kept as it was in a column that ends in _before
ORIGIN, DOUBT = "label_origin", "label_doubt"


@dataclass(frozen=True, slots=True, eq=False)
class Adopted:
    """The new manifest, and how many of its films got which fate, in words."""

    manifest: Manifest
    counts: Counter[str] = field(default_factory=Counter)


def adopt(manifest: Manifest, readings: Sequence[Reading], by: str, positive: frozenset[str] | None = None) -> Adopted:
    """The manifest with what was read. `by` is "majority", "adjudicated" or a reader's name.

    Films that nobody read who decides keep their label. Those said to be lateral or not readable, or on which nobody
    agrees, have none. `positive` are the classes that mean pneumonia; their names tell where it is left out. Raises
    ReadingsError.
    """
    known = sorted({each.reader for each in readings})
    if by not in (MAJORITY, ADJUDICATED, *known):
        raise ReadingsError(f"--by {by}: nobody of this name has read; those who have: {', '.join(known) or 'none'}")
    of_film: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        of_film[reading.film].append(reading)
    meaning = _meanings(manifest, readings, positive)
    with_boxes = any(reading.boxes for reading in readings)
    counts: Counter[str] = Counter()
    rows = [
        _row(film, _of_this_file(film, of_film[film["path"]], counts), by, meaning, counts, with_boxes=with_boxes)
        for film in manifest.table.select("path", *BEFORE, "findings", "width", "height", "file_digest").to_dicts()
    ]
    strangers = len(of_film.keys() - set(manifest.table["path"]))
    if strangers:
        counts["read, but not in the manifest"] = strangers
    return Adopted(Manifest(_with(manifest.table, rows), manifest.folder), counts)


def _of_this_file(film: dict[str, Any], readings: list[Reading], counts: Counter[str]) -> list[Reading]:
    """The readings that are of the file as it is, not of another that lay there once."""
    digest = film["file_digest"]
    same = [each for each in readings if digest is None or each.digest == digest]
    if len(same) < len(readings):
        counts["another file than was read, left as it was"] += 1
    return same


def _row(
    film: dict[str, Any],
    readings: list[Reading],
    by: str,
    meaning: dict[str, bool],
    counts: Counter[str],
    *,
    with_boxes: bool,
) -> dict[str, Any]:
    found = verdict(readings, by)
    if found is None:
        counts["not read, label as it was"] += 1
        return {**film, ORIGIN: "as it was" if film["label"] is not None else None, DOUBT: None}
    counts[_fate(film["label"], found)] += 1
    if found.label is None:
        origin = found.origin if found.origin == found.why_none else f"{found.origin}: {found.why_none}"
        none: dict[str, Any] = {"label": None, "pneumonia": None, "findings": [], "boxes": None}
        return {**film, **none, ORIGIN: origin, DOUBT: found.doubt}
    pneumonia = meaning[found.label]
    return {
        **film,
        "label": found.label,
        "pneumonia": pneumonia,
        "findings": [found.label],
        "boxes": _boxes(film, found.boxes, pneumonia=pneumonia, with_boxes=with_boxes),
        ORIGIN: found.origin,
        DOUBT: found.doubt,
    }


def _fate(before: str | None, found: Verdict) -> str:
    if found.label is None:
        return f"{found.why_none}, without a label"
    if before is None:
        return "labeled"
    return "label confirmed" if before == found.label else "label changed"


def _boxes(
    film: dict[str, Any], boxes: Sequence[Box], *, pneumonia: bool, with_boxes: bool
) -> list[list[float]] | None:
    """In fractions of the film. Where nobody drew boxes what was known stays, as far as it fits the label."""
    if with_boxes:
        if boxes and film["width"] and film["height"]:
            width, height = film["width"], film["height"]
            return [[box.x / width, box.y / height, box.width / width, box.height / height] for box in boxes]
        return None if pneumonia or boxes else []
    known: list[list[float]] | None = film["boxes"]
    if known is None or film["pneumonia"] == pneumonia:
        return known
    return None if pneumonia else []


def _meanings(manifest: Manifest, readings: Sequence[Reading], positive: frozenset[str] | None) -> dict[str, bool]:
    """Whether each class that was said means pneumonia: as asked, as in the manifest, or as its name says."""
    said = sorted({each.label for each in readings if each.label is not None})
    if positive is not None:
        if unknown := sorted(positive - set(said)):
            raise ReadingsError(f"--positive {', '.join(unknown)}: no film was read so; said were: {', '.join(said)}")
        return {label: label in positive for label in said}
    stated = manifest.table.select("label", "pneumonia").drop_nulls().unique()
    of_label: dict[str, set[bool]] = defaultdict(set)
    for label, pneumonia in stated.iter_rows():
        of_label[label].add(pneumonia)
    meanings: dict[str, bool] = {}
    for label in said:
        known = next(iter(of_label[label])) if len(of_label[label]) == 1 else means_pneumonia(label)
        if known is None:
            raise ReadingsError(
                f"nothing tells whether the class {label} means pneumonia; say which classes do: --positive A,B"
            )
        meanings[label] = known
    return meanings


def _with(table: pl.DataFrame, rows: list[dict[str, Any]]) -> pl.DataFrame:
    """The table with the new columns; of an earlier adoption the labels before that one stay."""
    dtypes = {"label": pl.String(), "pneumonia": pl.Boolean(), "boxes": BOX_LIST, "findings": TEXT_LIST}
    dtypes |= {ORIGIN: pl.String(), DOUBT: pl.Boolean()}
    before = [pl.col(name).alias(f"{name}_before") for name in BEFORE if f"{name}_before" not in table.columns]
    new = [pl.Series(name, [row[name] for row in rows], dtype) for name, dtype in dtypes.items()]
    return table.with_columns(before).with_columns(new)
