"""The bootstrap over patients: all films of a patient are drawn together, since they are no independent evidence.

A resample is how many times each film counts, so a measure is a function of weights: (resamples, films) to
(resamples,). Measures that are given together see the same resamples, which is what makes a comparison paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hilum.measures.figure import BY_PATIENTS, Bools, Figure, Floats, Ints
from hilum.measures.intervals import percentiles

Weights = NDArray[np.float64]
Measure = Callable[[Weights], Floats]

RESAMPLES, SEED = 2000, 1
CHUNK_CELLS = 500_000  # resamples x films at a time: stays within the cache


class Resampling(NamedTuple):
    """How often patients are drawn, and from which seed. With 2,000 resamples chance moves each end of a 95%
    interval by 1.5% of its width."""

    resamples: int = RESAMPLES
    seed: int = SEED


USUAL = Resampling()


def bootstrap(patients: ArrayLike, measures: Sequence[Measure], resampling: Resampling = USUAL) -> Floats:
    """Each measure on each resample, (resamples, measures); NaN where a resample does not define it."""
    resamples, seed = resampling
    _, patient = np.unique(np.asarray(patients), return_inverse=True)
    chunk = max(1, CHUNK_CELLS // len(patient))
    counts = draw(int(patient.max()) + 1, resamples, seed)
    made = np.empty((resamples, len(measures)))
    for start in range(0, resamples, chunk):
        weights = counts[start : start + chunk][:, patient].astype(np.float64)
        for place, measure in enumerate(measures):
            made[start : start + chunk, place] = measure(weights)
    return made


def few_at_a_time(measure: Measure, cells: int) -> Measure:
    """The same on fewer resamples at a time: for a measure that makes so many cells of each, as one of boxes does."""
    rows = max(1, CHUNK_CELLS // max(cells, 1))

    def in_parts(weights: Weights) -> Floats:
        return np.concatenate([measure(weights[start : start + rows]) for start in range(0, len(weights), rows)])

    return in_parts


def draw(patients: int, resamples: int, seed: int) -> NDArray[np.uint16]:
    """How many times each patient is drawn in each resample."""
    random = np.random.Generator(np.random.Philox(seed))
    counts = np.empty((resamples, patients), np.uint16)  # 24 MB of 2,000 x 6,000, where int64 would take 96
    for row in counts:
        row[:] = np.bincount(random.integers(0, patients, patients), minlength=patients)
    return counts


def with_interval(value: float, resampled: Floats, why_none: str) -> Figure:
    """A figure and its interval by bootstrap; a NaN is a figure that is not defined."""
    if np.isnan(value):
        return Figure(None, why=why_none)
    if (interval := percentiles(resampled)) is None:
        return Figure(value, why="no interval: too few patients of each class")
    return Figure(value, *interval, BY_PATIENTS)


def auroc_measure(probability: Floats, truth: Bools) -> Measure:
    """AUROC under weights: the share of pairs of a sick and a healthy film in order, ties counting one half."""
    sick, healthy = np.flatnonzero(truth), np.flatnonzero(~truth)
    healthy = healthy[np.argsort(probability[healthy], kind="stable")]
    below = np.searchsorted(probability[healthy], probability[sick], "left")
    not_above = np.searchsorted(probability[healthy], probability[sick], "right")

    def measure(weights: Weights) -> Floats:
        passed = np.zeros((len(weights), len(healthy) + 1))
        np.cumsum(weights[:, healthy], axis=1, out=passed[:, 1:])
        of_sick = weights[:, sick]
        in_order = (of_sick * (passed[:, below] + passed[:, not_above])).sum(1) / 2
        return shares(in_order, of_sick.sum(1) * passed[:, -1])

    return measure


def average_precision_measure(probability: Floats, truth: Bools) -> Measure:
    """Average precision under weights: precision at each distinct probability, weighted by the recall it adds."""
    order = np.argsort(-probability, kind="stable")
    last = np.flatnonzero(np.append(np.diff(probability[order]) != 0, True))  # of each group of ties

    def measure(weights: Weights) -> Floats:
        sorted_weights = weights[:, order]
        called = np.cumsum(sorted_weights, axis=1)[:, last]
        found = np.cumsum(sorted_weights * truth[order], axis=1)[:, last]
        added = np.diff(found, axis=1, prepend=0)
        return shares((added * found / np.maximum(called, 1)).sum(1), found[:, -1])

    return measure


def total_measure(counted: Bools | Ints) -> Measure:
    """How many films of a kind a resample holds."""
    kind = counted.astype(np.float64)

    def measure(weights: Weights) -> Floats:
        total: Floats = weights @ kind
        return total

    return measure


def shares(part: Floats, whole: Floats) -> Floats:
    """part / whole, NaN where the whole is nothing."""
    divided: Floats = np.divide(part, whole, out=np.full(np.shape(whole), np.nan), where=whole > 0)
    return divided
