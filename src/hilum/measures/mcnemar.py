"""Whether two models err equally often on the same films: McNemar's test (1947)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

MOST_EXACT = 1000  # films; beyond, the approximation agrees to four digits


class McNemar(NamedTuple):
    """Films that only the first, or only the second, got right, and the chance of more imbalance if both err alike."""

    only_first: int
    only_second: int
    p_value: float
    method: str


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> McNemar:
    """Two-sided. Films on which both are right, or both wrong, say nothing of which is better and do not count."""
    first, second = np.asarray(first_right, np.bool_), np.asarray(second_right, np.bool_)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    apart = only_first + only_second
    if apart <= MOST_EXACT:
        tail = sum(math.comb(apart, k) for k in range(min(only_first, only_second) + 1))
        return McNemar(only_first, only_second, min(1.0, 2 * tail / 2**apart), "exact binomial")
    statistic = (abs(only_first - only_second) - 1) ** 2 / apart
    return McNemar(only_first, only_second, math.erfc(math.sqrt(statistic / 2)), "chi-squared, continuity corrected")
