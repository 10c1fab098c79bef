"""Which film next. Orders are pure: the same films, seed and reader give the same order, also when films are added."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

NEXT_TIME = (30, 100)  # films until a film comes again: nobody remembers it, and who stops early has seen some twice


class Showing(NamedTuple):
    """A film as it is shown to a reader: for the first time, or with `repeat` 1 for the second."""

    film: int
    repeat: int


def shuffled(films: Sequence[int], paths: Sequence[str], seed: str) -> list[int]:
    """In an order of chance."""
    return sorted(films, key=lambda film: _chance(seed, paths[film]))


def stratified(films: Sequence[int], paths: Sequence[str], strata: Sequence[str | None], seed: str) -> list[int]:
    """Such that any first part of it has as many of each stratum as there are; within a round the order is chance's,
    so that nobody guesses the next film's stratum.
    """
    of_stratum: dict[str | None, list[int]] = defaultdict(list)
    for film in shuffled(films, paths, seed):
        of_stratum[strata[film]].append(film)
    rounds: list[int] = []
    for number in range(max(map(len, of_stratum.values()), default=0)):
        rounds += shuffled([own[number] for own in of_stratum.values() if number < len(own)], paths, f"{seed} round")
    return rounds


def ranked(films: Sequence[int], ranks: Sequence[float], paths: Sequence[str], seed: str) -> list[int]:
    """Those of the highest rank first; equals in an order of chance."""
    return sorted(films, key=lambda film: (-ranks[film], _chance(seed, paths[film])))


def with_repeats(films: Sequence[int], paths: Sequence[str], share: float, seed: str) -> list[Showing]:
    """Each film once, and a share of them a second time, some dozens of films later."""
    showings: list[Showing] = []
    due: dict[int, list[int]] = defaultdict(list)
    fewest, most = NEXT_TIME
    for place, film in enumerate(films):
        showings.append(Showing(film, 0))
        if _chance(f"{seed} again", paths[film]) < share:
            later = fewest + int(_chance(f"{seed} later", paths[film]) * (most - fewest))
            due[min(place + later, len(films) - 1)].append(film)
        showings += [Showing(again, 1) for again in due.pop(place, ())]
    return showings


def _chance(seed: str, path: str) -> float:
    """A number from 0 to 1 that is a film's own."""
    digest = hashlib.blake2b(f"{seed}\n{path}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") / 2**64
