"""Whether two AUROCs on the same films differ: the test of DeLong, DeLong and Clarke-Pearson (1988)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.figure import EvaluationError, Floats, checked
from hilum.measures.intervals import Z


class DeLong(NamedTuple):
    """AUROC of the second minus that of the first, its 95% interval, and the chance of more under no difference."""

    difference: float
    low: float
    high: float
    p_value: float


def delong(first: ArrayLike, second: ArrayLike, truth: ArrayLike) -> DeLong:
    """It takes films as independent: with several films a patient, trust the bootstrap over patients instead."""
    aurocs, covariance = delong_covariance([first, second], truth)
    difference = float(aurocs[1] - aurocs[0])
    # Of two rankings with the same orders, rounding may leave a variance just off 0.
    variance = max(float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]), 0.0)
    error = math.sqrt(variance)
    # The same ranking twice: there is no difference to test, and dividing by its error would make one up.
    if error < 1e-12:
        return DeLong(difference, difference, difference, 1.0 if abs(difference) < 1e-12 else 0.0)
    p_value = math.erfc(abs(difference) / error / math.sqrt(2))
    return DeLong(difference, difference - Z * error, difference + Z * error, p_value)


def delong_covariance(scores: list[ArrayLike], truth: ArrayLike) -> tuple[Floats, Floats]:
    """AUROCs of several predictions of the same films, and the covariance of these."""
    of_sick, of_healthy = [], []
    for score in scores:
        p, t = checked(score, truth)
        if t.sum() < 2 or (~t).sum() < 2:
            raise EvaluationError("DeLong's test needs two films with pneumonia and two without")
        sick, healthy = np.sort(p[t]), np.sort(p[~t])
        of_sick.append(_placed(healthy, p[t]))
        of_healthy.append(1 - _placed(sick, p[~t]))
    covariance = np.cov(of_sick) / len(of_sick[0]) + np.cov(of_healthy) / len(of_healthy[0])
    return np.array([placed.mean() for placed in of_sick]), np.atleast_2d(covariance)


def _placed(others: Floats, own: Floats) -> Floats:
    """The share of the others (sorted) that each of one's own exceeds, ties counting one half."""
    placed: Floats = (np.searchsorted(others, own, "left") + np.searchsorted(others, own, "right")) / (2 * len(others))
    return placed
