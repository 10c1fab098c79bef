"""The masks of lungs that a model found, beside films on which all but the lungs is black."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import polars as pl

from hilum.evaluation.judge import Judgement
from hilum.measures.bootstrap import Resampling
from hilum.measures.figure import Bools, Figure, Floats, Ints
from hilum.measures.masks import overlaps, with_intervals
from hilum.radiograph.errors import ReadError
from hilum.radiograph.read import read
from hilum.training.feed.masks import lung_masks

HALF = 128  # grey levels: from here on a place is lung


@dataclass(frozen=True, slots=True, eq=False)
class LungEvaluation:
    """Of films that show which of them is lung: `rows` are their places in the Judgement, `each` Dice and IoU of each.

    `copies` are the paths of the films that show it. On `not_found` of them the model found no pair of lungs.
    """

    rows: Ints
    copies: tuple[str, ...]
    each: Floats
    figures: dict[str, Figure]
    not_found: int

    def describe(self) -> dict[str, Any]:
        """Plain data for JSON."""
        figures = {name: figure.describe() for name, figure in self.figures.items()}
        return {"films": len(self.rows), "not_found": self.not_found, "figures": figures}


def measure_lungs(judgement: Judgement, resampling: Resampling) -> LungEvaluation | None:
    """None where the model finds no lungs, or no film judged has a copy with all else blackened, of the same study."""
    sources = ((judgement.card.recipe or {}).get("lungs") or {}).get("sources", [])
    if not sources or any(reading.lungs is None for reading in judgement.readings):
        return None
    alone = judgement.manifest.table.filter(pl.col("source").is_in(sources) & pl.col("study").is_not_null())
    copies = dict(alone.select("study", "path").iter_rows())
    rows, used, found, true = [], [], [], []
    for row, (study, reading) in enumerate(zip(judgement.films["study"], judgement.readings, strict=True)):
        truth = None if study not in copies else lungs_of_copy(judgement, copies[study])
        if truth is None or judgement.films["source"][row] in sources or reading.lungs is None:
            continue
        rows.append(row)
        used.append(copies[study])
        found.append(reading.lungs >= HALF)
        true.append(truth)
    if not rows:
        return None
    each = overlaps(np.array(found), np.array(true))
    patients = judgement.predictions.patients[rows]
    none = sum(bool(mask.all()) for mask in found)
    return LungEvaluation(np.array(rows), tuple(used), each, with_intervals(each, patients, resampling), none)


def lungs_of_copy(judgement: Judgement, path: str) -> Bools | None:
    """The places of the model's mask that are lung, by a film on which all else is black; None if it cannot be read."""
    try:
        film = read(judgement.manifest.path(path))
    except ReadError:
        return None
    pixels = judgement.card.geometry.apply(film.pixels)
    inside: Bools = lung_masks(pixels[None], np.zeros(1, np.int64), None)[0, 0] >= HALF / 255
    return inside
