"""95% intervals of shares of films, and of figures that were resampled."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from hilum.measures.figure import WILSON, Figure, Floats

Z = 1.959963984540054  # of 95%


def wilson(hits: float, of: float) -> tuple[float, float]:
    """The interval of a share of independent films (Wilson 1927); it stays within 0 and 1 and is honest at both.

    Films that are worth fewer independent ones may be given as parts of them.
    """
    share = hits / of
    center = (share + Z**2 / (2 * of)) / (1 + Z**2 / of)
    half = Z / (1 + Z**2 / of) * math.sqrt(share * (1 - share) / of + Z**2 / (4 * of**2))
    low = 0.0 if hits == 0 else center - half  # exact where rounding is not
    return low, 1.0 if hits == of else center + half


def share(hits: int, of: int, why_none: str, by_patients: tuple[float, float] | None = None) -> Figure:
    """A share of films as a Figure."""
    if of == 0:
        return Figure(None, why=why_none)
    low, high = wilson(hits, of)
    return Figure(hits / of, low, high, WILSON, hits=hits, of=of, by_patients=by_patients)


def percentiles(resampled: Floats) -> tuple[float, float] | None:
    """The middle 95% of a figure over resamples; those in which it is not defined do not count.

    None where it is defined in less than half of them: what is left would be a choice of lucky resamples.
    """
    there = resampled[~np.isnan(resampled)]
    if 2 * len(there) < len(resampled) or not len(there):
        return None
    low, high = np.quantile(there, [0.025, 0.975])
    return float(low), float(high)


class Known(NamedTuple):
    """A share with its interval."""

    share: float
    low: float
    high: float


def known(hits: int, of: int) -> Known:
    """A share of independent films with Wilson's interval."""
    return Known(hits / of, *wilson(hits, of))


def ratio(top: Known, bottom: Known) -> tuple[float, float]:
    """The interval of one share over another, of different films, from the intervals of both (MOVER, Donner and Zou
    2012). Unlike resampling it is honest where one of them is 0 or 1."""
    product = top.share * bottom.share

    def end(of_top: float, of_bottom: float, sign: int) -> float:
        scale = of_bottom * (2 * bottom.share - of_bottom)
        if scale <= 0:  # the share below may as well be 0
            return math.inf if sign > 0 else of_top / bottom.high
        under = max(product**2 - of_top * (2 * top.share - of_top) * scale, 0.0)
        return (product + sign * math.sqrt(under)) / scale

    return max(end(top.low, bottom.high, -1), 0.0), end(top.high, bottom.low, 1)
