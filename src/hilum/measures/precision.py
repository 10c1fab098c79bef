"""How small a difference between two models a test of this size could show: what a paper is asked for beforehand."""

from __future__ import annotations

import math

from hilum.measures.intervals import Z

Z_POWER = 0.8416212335729143  # of a power of 80%


def smallest_of_auroc(error: float, alike: float) -> float:
    """The difference of two AUROCs on the same films that is found 80 of 100 times at p < 0.05.

    `error` is the standard error of one AUROC, taken for both; `alike` is the correlation of the two.
    """
    return (Z + Z_POWER) * error * math.sqrt(2 * (1 - alike))


def smallest_of_shares(share: float, films: float, alike: float) -> float | None:
    """The same of two shares of the same films by McNemar's test (Connor 1987): how much lower than `share` another
    model must be. `alike` is the correlation of what both get right. None where not even 0 would be found."""
    if not _is_found(share, share, films, alike):
        return None
    low, high = 0.0, share
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if _is_found(middle, share, films, alike) else (middle, high)
    return high


def _is_found(difference: float, share: float, films: float, alike: float) -> bool:
    """Whether so many films show the difference with a power of 80%."""
    lower = share - difference
    together = alike * math.sqrt(share * (1 - share) * lower * (1 - lower))
    both = min(share * lower + together, lower)
    apart = share + lower - 2 * both  # the films on which the two decide otherwise
    needed = Z * math.sqrt(apart) + Z_POWER * math.sqrt(max(apart - difference**2, 0.0))
    return films * difference**2 >= needed**2
