"""95% intervals of shares of films, and of figures that were resampled."""

from __future__ import annotations

import math

import numpy as np

from hilum.evaluation.figure import WILSON, Figure, Floats

Z = 1.959963984540054  # of 95%


def wilson(hits: int, of: int) -> tuple[float, float]:
    """The interval of a share of independent films (Wilson 1927); it stays within 0 and 1 and is honest at both."""
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
