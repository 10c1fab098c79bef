"""FROC: how many of the true boxes are found, at how many false ones a film.

Unlike the challenge's score it needs no score threshold to be chosen, and unlike mAP it says what a reader would see.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.measures.bootstrap import Measure, Weights, few_at_a_time, shares
from hilum.measures.boxes.overlap import Matches
from hilum.measures.figure import Floats

OVERLAP = 0.5  # by more than this a true box is found
RATES = (0.25, 0.5, 1.0, 2.0)  # false positives a film


class FrocCurve(NamedTuple):
    """A point for each distinct score, the highest first: what predictions of at least that score would give."""

    thresholds: Floats
    false_positives: Floats  # a film
    sensitivity: Floats
    precision: Floats


def froc_curve(matches: Matches, column: int = 0) -> FrocCurve:
    """The curve at one of the overlaps that were matched."""
    order, last = _by_score(matches)
    hit = matches.hit[order, column]
    found = np.cumsum(hit)[last].astype(np.float64)
    true = np.full_like(found, matches.true.sum())
    false = np.cumsum(~hit)[last] / len(matches.true)
    return FrocCurve(matches.score[order][last], false, shares(found, true), found / (last + 1))


def sensitivity_measure(matches: Matches, rate: float) -> Measure:
    """Sensitivity under weights: the best that a score threshold reaches with no more than `rate` false ones a film."""
    order, last = _by_score(matches)
    film, hit = matches.film[order], matches.hit[order, 0]
    true = matches.true.astype(np.float64)
    # Only the first predictions matter. Those before twice as many false ones as are allowed will do for any resample
    # but the oddest, which looks at all of them.
    twice = np.searchsorted(last, np.searchsorted(np.cumsum(~hit), 2 * rate * len(true)))
    enough = int(last[twice]) + 1 if twice < len(last) else len(film)

    def measure(weights: Weights) -> Floats:
        limit = rate * weights.sum(axis=1, keepdims=True)
        for end in (enough, len(film)):
            counted, steps = weights[:, film[:end]], last[last < end]
            false = np.cumsum(counted * ~hit[:end], axis=1)[:, steps]
            if (false[:, -1:] > limit).all():
                break
        found = np.cumsum(counted * hit[:end], axis=1)[:, steps]
        allowed = (false <= limit).sum(axis=1, keepdims=True)
        found = np.take_along_axis(np.pad(found, ((0, 0), (1, 0))), allowed, axis=1)[:, 0]
        return shares(found, weights @ true)

    return few_at_a_time(measure, enough)


def threshold_measures(matches: Matches, score_threshold: float) -> tuple[Measure, Measure]:
    """Sensitivity, and false boxes a film, of the predictions of at least this score."""
    kept, films = matches.score >= score_threshold, len(matches.true)
    found = np.bincount(matches.film[kept & matches.hit[:, 0]], minlength=films).astype(np.float64)
    false = np.bincount(matches.film[kept & ~matches.hit[:, 0]], minlength=films).astype(np.float64)
    true = matches.true.astype(np.float64)

    def sensitivity(weights: Weights) -> Floats:
        return shares(weights @ found, weights @ true)

    def false_boxes(weights: Weights) -> Floats:
        return shares(weights @ false, weights.sum(axis=1))

    return sensitivity, false_boxes


def _by_score(matches: Matches) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """The order of all predictions, and where each group of equal scores ends: no threshold parts them."""
    order = np.argsort(-matches.score, kind="stable")
    return order, np.flatnonzero(np.diff(matches.score[order], append=-np.inf))
