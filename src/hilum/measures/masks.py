"""How well masks cover what they should: Dice and intersection over union, film by film."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from hilum.measures.bootstrap import Resampling, bootstrap, with_interval
from hilum.measures.figure import Bools, Figure, Floats, Ints

NAMES = ("dice", "iou")


def overlaps(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Floats:
    """(films, 2): Dice and intersection over union of masks (films, ...); 1 where both are empty."""
    found, truth = found.reshape(len(found), -1), truth.reshape(len(truth), -1)
    shared, either = (found & truth).sum(1), (found | truth).sum(1)
    both = shared + either  # what the two hold together, counted twice where they agree
    dice = np.divide(2 * shared, both, out=np.ones(len(both)), where=both > 0)
    iou = np.divide(shared, either, out=np.ones(len(both)), where=either > 0)
    return np.stack([dice, iou], 1)


def mask_figures(found: Bools, truth: Bools) -> dict[str, float]:
    """The means over films; NaN where there is none."""
    means = overlaps(found, truth).mean(0) if len(found) else (math.nan, math.nan)
    return dict(zip(NAMES, map(float, means), strict=True))


def with_intervals(each: Floats, patients: Ints, resampling: Resampling) -> dict[str, Figure]:
    """The means over films of what `overlaps` gives, with intervals over patients."""

    def mean_of(column: int) -> Figure:
        values = each[:, column]
        drawn = bootstrap(patients, [lambda weights: (weights @ values) / weights.sum(1)], resampling)[:, 0]
        return with_interval(float(values.mean()), drawn, "")

    return {name: mean_of(column) for column, name in enumerate(NAMES)}
