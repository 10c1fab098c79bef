"""FROC: how many of the true boxes are found, at how many false ones a film.

Unlike the challenge's score it needs no score threshold to be chosen, and unlike mAP it says what a reader would see.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.evaluation.bootstrap import Measure, Weights, shares
from hilum.evaluation.boxes import Matches
from hilum.evaluation.figure import Floats

OVERLAP = 0.5  # by more than this a true box is found
RATES = (0.25, 0.5, 1.0, 2.0)  # false positives a film


class Curve(NamedTuple):
    """A point for each distinct score, the highest first: what predictions of at least that score would give."""

    thresholds: Floats
    false_positives: Floats  # a film
    sensitivity: Floats


def froc_curve(matches: Matches) -> Curve:
    """The curve at the first of the overlaps that were matched."""
    order, last = _by_score(matches)
    hit = matches.hit[order, 0]
    found = np.cumsum(hit)[last].astype(np.float64)
    true = np.full_like(found, matches.true.sum())
    return Curve(matches.score[order][last], np.cumsum(~hit)[last] / len(matches.true), shares(found, true))


def sensitivity_measure(matches: Matches, rate: float) -> Measure:
    """Sensitivity under weights: the best that a score threshold reaches with no more than `rate` false ones a film."""
    order, last = _by_score(matches)
    film, hit = matches.film[order], matches.hit[order, 0]
    true = matches.true.astype(np.float64)

    def measure(weights: Weights) -> Floats:
        counted = weights[:, film]
        false = np.cumsum(counted * ~hit, axis=1)[:, last]
        found = np.cumsum(counted * hit, axis=1)[:, last]
        allowed = (false <= rate * weights.sum(axis=1, keepdims=True)).sum(axis=1, keepdims=True)
        found = np.take_along_axis(np.pad(found, ((0, 0), (1, 0))), allowed, axis=1)[:, 0]
        return shares(found, weights @ true)

    return measure


def _by_score(matches: Matches) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order of all predictions, and where each group of equal scores ends: no threshold parts them."""
    order = np.argsort(-matches.score, kind="stable")
    return order, np.flatnonzero(np.diff(matches.score[order], append=-np.inf))
