"""What a test of some size could show, and how many films a wish needs: what a paper is asked for beforehand."""

from __future__ import annotations

import math
from collections.abc import Callable

from hilum.measures.intervals import Z, wilson

Z_POWER = 0.8416212335729143  # of a power of 80%


MOST_FILMS = 10_000_000


def width_of(share: float, films: float) -> float:
    """How wide the 95% interval of a share is, of so many independent films (Wilson)."""
    low, high = wilson(share * films, films)
    return high - low


def films_for_width(share: float, width: float) -> int:
    """The fewest independent films of a kind for which the interval of their share is no wider."""
    return _fewest(lambda films: width_of(share, films) <= width)


def films_to_draw(kind: int, share: float, sure: float = 0.9) -> int:
    """How many films hold at least `kind` of a kind so often, where this share of all films is of it."""
    return _fewest(lambda films: films >= kind and _fewer(kind, films, share) <= 1 - sure)


def _fewest(enough: Callable[[int], bool]) -> int:
    """The smallest number that is enough, where more are enough, too."""
    high = 1
    while not enough(high) and high < MOST_FILMS:
        high *= 2
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high


def _fewer(kind: int, films: int, share: float) -> float:
    """How often fewer than `kind` of so many films are of a kind (binomial)."""
    if share >= 1:
        return 0.0
    logs = (
        math.lgamma(films + 1) - math.lgamma(k + 1) - math.lgamma(films - k + 1)
        + k * math.log(share) + (films - k) * math.log1p(-share)
        for k in range(kind)
    )  # fmt: skip
    return math.fsum(map(math.exp, logs))


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
