"""Confident learning (Northcutt, Jiang and Chuang 2021): which labels are wrong, by cleanlab, and how many.

A film counts for a side of which the model is surer than it is on average of films labeled so. Films that count for
another side than their label's are wrong ones, and their share among those that count is taken for all of that label.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.evaluation.doubt.sides import Sides
from hilum.measures.bootstrap import USUAL, Resampling, draw
from hilum.measures.figure import BY_PATIENTS, Figure, Floats, Ints
from hilum.measures.intervals import percentiles

NEAR = 1e-6  # as cleanlab takes a probability for the mean that it is compared with


def flagged(sides: Sides) -> Ints:
    """The rows whose label cleanlab holds for wrong, by its filter `prune_by_noise_rate`."""
    from cleanlab.filter import find_label_issues  # two seconds, and in an extra of its own

    return np.asarray(
        find_label_issues(
            sides.given, sides.shares, return_indices_ranked_by="self_confidence", min_examples_per_class=0, n_jobs=1
        ),
        np.int64,
    )


def doubt_of(sides: Sides) -> Floats:
    """How unlikely the model holds each label, from 0 to 1: 1 less cleanlab's `self_confidence`.

    Of cleanlab's scores it finds the most wrong labels first, on real films of three classes (results/label_errors.py).
    """
    return np.asarray(1 - np.take_along_axis(sides.shares, sides.given[:, None], 1)[:, 0])


def suggested(sides: Sides) -> Ints:
    """The side that the model holds for the likeliest besides the label's own."""
    rivals = sides.shares.copy()
    np.put_along_axis(rivals, sides.given[:, None], -1.0, 1)
    return np.asarray(rivals.argmax(1))


def wrong_shares(sides: Sides, weights: Floats) -> Floats:
    """The share of each side's labels that is wrong, where each film counts `weights` times.

    cleanlab's calibrated confident joint, off its diagonal and over its rows; cleanlab itself knows no weights, without
    which a bootstrap of some thousand films takes minutes.
    """
    count = len(sides.names)
    own = np.eye(count)[sides.given] * weights[:, None]
    total = own.sum(0)
    least = np.divide((own * sides.shares).sum(0), total, out=np.full(count, 2.0), where=total > 0)
    confident = sides.shares >= np.clip(least, NEAR, None) - NEAR
    guess = np.where(confident.sum(1) > 1, sides.shares.argmax(1), confident.argmax(1))
    counts = np.bincount(sides.given * count + guess, weights * confident.any(1), count * count).reshape(count, count)
    right = np.maximum(counts.diagonal(), 1)
    off = counts.sum(1) - counts.diagonal()
    return np.asarray(off / (off + right))


class Estimate:
    """How many labels are wrong, with intervals over patients.

    They hold for this model's opinion: where it errs with confidence it counts a right label as wrong.
    """

    def __init__(self, sides: Sides, patients: ArrayLike, resampling: Resampling = USUAL) -> None:
        _, self._whose = np.unique(np.asarray(patients), return_inverse=True)
        self._sides = sides
        self._share = wrong_shares(sides, np.ones(len(self._whose)))
        self._counts = draw(int(self._whose.max()) + 1, *resampling)
        self._drawn = [wrong_shares(sides, self._weights(counts)) for counts in self._counts]

    def share(self, films: NDArray[np.bool_] | None = None) -> Figure:
        """The share of wrong labels among these films, or among all."""
        chosen = np.ones(len(self._whose), np.bool_) if films is None else films
        given = self._sides.given[chosen]
        drawn = []
        for counts, shares in zip(self._counts, self._drawn, strict=True):
            weights = self._weights(counts)[chosen]
            drawn.append(np.average(shares[given], weights=weights) if weights.any() else np.nan)
        value, interval = float(self._share[given].mean()), percentiles(np.array(drawn))
        if interval is None:
            return Figure(value, why="no interval: too few patients")
        return Figure(value, *interval, BY_PATIENTS)

    def _weights(self, counts: NDArray[np.uint16]) -> Floats:
        """How often each film counts in a resample of patients."""
        return counts[self._whose].astype(np.float64)
