"""What other thresholds would have given on these films. For looking at: a threshold is fixed before, never here."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.figure import Floats, checked
from hilum.measures.films.binary import Counts, Curve, curve, f1, npv, ppv

SWEPT = tuple(round(0.05 * step, 2) for step in range(1, 20))
FIXED = (0.8, 0.9, 0.95, 0.99)
# The fewest films of each kind by which a threshold can be set: one error among them still leaves 95 %. With fewer, the
# rules would set it by the single most extreme film.
FEWEST = 20


class Row(NamedTuple):
    """Decisions at one threshold; NaN is a figure that is not defined there."""

    threshold: float
    sensitivity: float
    specificity: float
    ppv: float
    npv: float
    f1: float
    called: int


class Fixed(NamedTuple):
    """The best of one figure where the other is at least `at_least`; None where no threshold reaches that."""

    at_least: float
    best: float | None
    threshold: float | None


def sweep(probability: ArrayLike, truth: ArrayLike, thresholds: tuple[float, ...] = SWEPT) -> list[Row]:
    """What each of these thresholds would have decided."""
    at = curve(probability, truth)
    # The thresholds of a curve fall: the last that is not below the swept one has the same decisions.
    places = np.searchsorted(-at.thresholds, [-threshold for threshold in thresholds], "right") - 1
    return [_row(at, int(place), threshold) for place, threshold in zip(places, thresholds, strict=True)]


def _row(at: Curve, place: int, threshold: float) -> Row:
    counts = Counts(*(part[place] for part in at.counts))
    return Row(
        threshold,
        float(at.sensitivity[place]),
        float(at.specificity[place]),
        float(ppv(counts)),
        float(npv(counts)),
        float(f1(counts)),
        int(counts.true_positives + counts.false_positives),
    )


def sensitivity_at_specificity(probability: ArrayLike, truth: ArrayLike) -> list[Fixed]:
    """The best sensitivity at a specificity of at least 80, 90, 95 and 99%, as papers state it."""
    at = curve(probability, truth)
    return [_fixed(at.sensitivity, at.specificity, at, wanted) for wanted in FIXED]


def specificity_at_sensitivity(probability: ArrayLike, truth: ArrayLike) -> list[Fixed]:
    """The best specificity at a sensitivity of at least 80, 90, 95 and 99%."""
    at = curve(probability, truth)
    return [_fixed(at.specificity, at.sensitivity, at, wanted) for wanted in FIXED]


def _fixed(best: Floats, held: Floats, at: Curve, wanted: float) -> Fixed:
    if np.isnan(best).any() or np.isnan(held).any():
        return Fixed(wanted, None, None)
    reached = held >= wanted - 1e-12  # 19 of 20 is 95%, whatever the division makes of it
    place = int(np.argmax(np.where(reached, best, -1)))
    return Fixed(wanted, float(best[place]), float(at.thresholds[place]))


def best_on_this_split(probability: ArrayLike, truth: ArrayLike) -> Row | None:
    """The threshold that these very films like best (Youden's J). It flatters, and must be shown under that name."""
    _, t = checked(probability, truth)
    if t.all() or not t.any():
        return None
    at = curve(probability, truth)
    place = int(np.argmax(at.sensitivity + at.specificity))
    return _row(at, place, float(at.thresholds[place]))
