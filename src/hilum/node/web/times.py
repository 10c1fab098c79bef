"""How long something took, as Prometheus counts it: below each of some bounds."""

from __future__ import annotations

from bisect import bisect_left

BOUNDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 3600)


class Times:
    """Seconds, added up. One thread adds; whoever reads may see the last one half counted."""

    def __init__(self) -> None:
        self.sum = 0.0
        self._counts = [0] * (len(BOUNDS) + 1)

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(BOUNDS, seconds)] += 1
        self.sum += seconds

    def buckets(self) -> list[tuple[str, float]]:
        """How many took no longer than each bound."""
        total, made = 0, []
        for bound, count in zip((*map(str, BOUNDS), "+Inf"), self._counts, strict=True):
            total += count
            made.append((bound, float(total)))
        return made
