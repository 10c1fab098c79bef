"""Agreement beyond chance: Cohen's kappa of two readings, also weighted, and Fleiss' of several.

They are functions of weights, as bootstrap.py wants them: how often each film counts.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.bootstrap import USUAL, Measure, Resampling, Weights, bootstrap, with_interval
from hilum.measures.figure import Figure, Floats, Ints

Weighting = Literal["none", "linear", "quadratic"]
ALL_THE_SAME = "all readings are of one class, so agreement cannot be told from chance"


def cohen_measure(first: Ints, second: Ints, classes: int, weighting: Weighting = "none") -> Measure:
    """Of two readings of the same films, as class numbers (Cohen 1960, 1968).

    `linear` and `quadratic` count a disagreement by how far apart two ordered classes are.
    """
    apart = np.abs(np.arange(classes)[:, None] - np.arange(classes)[None]) / max(classes - 1, 1)
    cost = {"none": (apart > 0).astype(np.float64), "linear": apart, "quadratic": apart**2}[weighting]
    own, other = np.eye(classes)[first], np.eye(classes)[second]

    def measure(weights: Weights) -> Floats:
        films = weights.sum(1)
        seen = weights @ cost[first, second] / films
        by_chance = np.einsum("ri,ij,rj->r", weights @ own, cost, weights @ other) / films**2
        return _beyond_chance(seen, by_chance)

    return measure


def fleiss_measure(counts: ArrayLike) -> Measure:
    """Of several readings of each film (Fleiss 1971): (films, classes), how many readers gave a film each class."""
    given = np.asarray(counts, np.float64)
    readers = given[0].sum()
    agreeing = ((given**2).sum(1) - readers) / (readers * (readers - 1))

    def measure(weights: Weights) -> Floats:
        films = weights.sum(1)
        of_class = weights @ given / (films * readers)[:, None]
        return _beyond_chance(1 - weights @ agreeing / films, 1 - (of_class**2).sum(1))

    return measure


def kappa(measure: Measure, patients: ArrayLike, resampling: Resampling = USUAL) -> Figure:
    """One of these with its interval over patients."""
    value = float(measure(np.ones((1, len(np.asarray(patients)))))[0])
    return with_interval(value, bootstrap(patients, [measure], resampling)[:, 0], ALL_THE_SAME)


def _beyond_chance(cost: Floats, by_chance: Floats) -> Floats:
    """1 less the cost seen over that expected by chance; NaN where chance alone would agree on everything."""
    possible = by_chance > 1e-12
    share = np.divide(cost, by_chance, out=np.full_like(cost, np.nan), where=possible)
    return np.asarray(1 - share)
