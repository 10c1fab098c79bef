"""What abstaining buys: the errors among the films that remain when the least sure are left to a person."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.figure import Floats, checked
from hilum.measures.films.calibration import logit


class RiskCoverage(NamedTuple):
    """`risk` is the share of errors among the surest `coverage` of films; `area` is its mean over coverage."""

    coverage: Floats
    risk: Floats
    area: float


def sureness(probability: Floats, threshold: float | Floats) -> Floats:
    """How sure a decision is: how far the probability is from the threshold, its own or that of all, in log odds.

    In log odds 99.9% is as far from 99% as 50% is from 9%: near 0 and 1 a difference of probabilities hides how sure.
    """
    far: Floats = np.abs(logit(probability) - logit(np.atleast_1d(threshold)))
    return far


def risk_coverage(probability: ArrayLike, truth: ArrayLike, threshold: float | Floats) -> RiskCoverage:
    """The surest films are those whose probability is farthest from the threshold, or their own, in log odds."""
    p, t = checked(probability, truth)
    sure = sureness(p, threshold)
    order = np.argsort(-sure, kind="stable")
    wrong = ((p >= threshold) != t)[order]
    last = np.flatnonzero(np.append(np.diff(sure[order]) != 0, True))  # films that are equally sure go together
    kept = last + 1.0
    risk = np.cumsum(wrong)[last] / kept
    area = float((risk * np.diff(kept, prepend=0)).sum() / len(p))
    return RiskCoverage(kept / len(p), risk, area)
