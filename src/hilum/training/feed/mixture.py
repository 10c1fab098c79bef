"""The mixture of an epoch: how many films of each source, and of each label in it, whatever their numbers are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from hilum.training.recipe import RecipeError


class Mixture:
    """Films of several kinds in given shares. Of each kind all come once before one comes again, epoch after epoch."""

    def __init__(self, kinds: Sequence[NDArray[np.int64]], counts: Sequence[int]) -> None:
        self.kinds, self.counts = kinds, counts

    @property
    def films(self) -> int:
        """How many an epoch shows."""
        return sum(self.counts)

    def order(self, seed: int, epoch: int) -> NDArray[np.int64]:
        """The films of an epoch, which follow from (seed, epoch) alone."""
        chosen = [
            _walk(films, [seed, number], epoch * count, count)
            for number, (films, count) in enumerate(zip(self.kinds, self.counts, strict=True))
        ]
        return np.random.Generator(np.random.Philox([seed, epoch])).permutation(np.concatenate(chosen))


def _walk(films: NDArray[np.int64], seed: Sequence[int], start: int, count: int) -> NDArray[np.int64]:
    """`count` films from `start` on of an endless row of shuffles."""
    rounds = range(start // len(films), (start + count - 1) // len(films) + 1)
    # The seed goes into the key through a sequence, for a plain key takes two numbers at most.
    shuffles = [np.random.default_rng(np.random.SeedSequence([*seed, round_])).permutation(films) for round_ in rounds]
    first = start - rounds[0] * len(films)
    return np.concatenate(shuffles)[first : first + count]


def mix_sources(shares: Mapping[str, float], films: int, sources: Sequence[str], labels: Sequence[str]) -> Mixture:
    """A Mixture of `films` by the shares of a recipe, named by source, or by source and label as `rsna:lung_opacity`.

    A film belongs to the kind that names it most closely. Raises RecipeError where a kind has no film.
    """
    names = np.array([f"{source}:{label}" if f"{source}:{label}" in shares else source
                      for source, label in zip(sources, labels, strict=True)])  # fmt: skip
    kinds = [np.flatnonzero(names == kind) for kind in shares]
    for kind, found in zip(shares, kinds, strict=True):
        if not len(found):
            there = ", ".join(sorted(set(sources)))
            raise RecipeError(f"training.mixture: no film to learn from is of {kind}; there are films of {there}")
    total = sum(shares.values())
    return Mixture(kinds, [max(round(films * share / total), 1) for share in shares.values()])
