"""The mixture of an epoch: shares as asked, every film before any comes again, the same from any place on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.training.feed.mixture import Mixture, mix_sources
from hilum.training.recipe import RecipeError

SOURCES = ["kermany"] * 50 + ["rsna"] * 30 + ["rsna"] * 5
LABELS = ["normal"] * 50 + ["normal"] * 30 + ["lung_opacity"] * 5


def test_shares_are_as_the_recipe_says() -> None:
    mixture = mix_sources({"kermany": 2.0, "rsna": 1.0, "rsna:lung_opacity": 1.0}, 40, SOURCES, LABELS)
    order = mixture.order(1, 0)
    counts = Counter((SOURCES[film], LABELS[film]) for film in order)
    assert counts == {("kermany", "normal"): 20, ("rsna", "normal"): 10, ("rsna", "lung_opacity"): 10}
    assert mixture.films == len(order) == 40


def test_a_kind_without_films_is_told() -> None:
    with pytest.raises(RecipeError, match="of siim; there are films of kermany, rsna"):
        mix_sources({"kermany": 1.0, "siim": 1.0}, 40, SOURCES, LABELS)


@given(st.integers(1, 12), st.integers(1, 30), st.integers(0, 5), st.integers(1, 8))
def test_all_come_once_before_one_comes_again(films: int, count: int, seed: int, epochs: int) -> None:
    mixture = Mixture([np.arange(films)], [count])
    shown = Counter(int(film) for epoch in range(epochs) for film in mixture.order(seed, epoch))
    assert sum(shown.values()) == epochs * count
    assert max(shown[film] for film in range(films)) - min(shown[film] for film in range(films)) <= 1


def test_an_epoch_follows_from_its_number_alone() -> None:
    mixture = mix_sources({"kermany": 1.0, "rsna": 1.0}, 20, SOURCES, LABELS)
    first, second = mixture.order(1, 0), mixture.order(1, 1)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(mixture.order(1, 1), second)
    assert not np.array_equal(mixture.order(2, 1), second)
