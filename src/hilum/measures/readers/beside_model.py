"""A model beside several readers, over the films and over the readers: who else might have read, as well as what."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit


class OverReaders(NamedTuple):
    """The mean difference over readers, its 95% interval, and the chance of more if there is none."""

    difference: float
    low: float
    high: float
    p_value: float


def over_readers(differences: ArrayLike, covariance: ArrayLike) -> OverReaders:
    """Obuchowski and Rockette's analysis (1995) of one model against readers, with Hillis' degrees of freedom (2007).

    `differences` are the model's figure less that of each reader, all on the same films, and `covariance` (readers,
    readers) is what chance in films does to them. Readers are taken for a sample of all who might read such films.
    """
    apart, chance = np.asarray(differences, np.float64), np.asarray(covariance, np.float64)
    readers = len(apart)
    between = float(apart.var(ddof=1))
    shared = max(float(chance[~np.eye(readers, dtype=bool)].mean()), 0.0)
    whole = between + readers * shared
    mean, error = float(apart.mean()), math.sqrt(whole / readers)
    if error < 1e-12:
        return OverReaders(mean, mean, mean, 1.0 if abs(mean) < 1e-12 else 0.0)
    freedom = min(whole**2 / (between**2 / (readers - 1)), 1e9) if between > 0 else 1e9
    half = float(stdtrit(freedom, 0.975)) * error
    return OverReaders(mean, mean - half, mean + half, float(2 * stdtr(freedom, -abs(mean) / error)))
