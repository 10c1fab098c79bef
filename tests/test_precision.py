"""The smallest difference that a test could show: against the power that such a test really has."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from hilum.measures.delong import delong, delong_covariance
from hilum.measures.precision import smallest_of_auroc, smallest_of_shares


def power_of_mcnemar(films: int, share: float, lower: float, alike: float) -> float:
    """Summed up over everything that can come of so many films."""
    both = share * lower + alike * np.sqrt(share * (1 - share) * lower * (1 - lower))
    only_first, only_second = share - both, lower - both
    apart = np.arange(1, films + 1)
    total = 0.0
    for count, chance in zip(apart, stats.binom.pmf(apart, films, only_first + only_second), strict=True):
        first = np.arange(count + 1)
        shown = (2 * first - count) ** 2 / count >= stats.chi2.ppf(0.95, 1)
        total += chance * stats.binom.pmf(first, count, only_first / (only_first + only_second))[shown].sum()
    return total


@pytest.mark.parametrize(("films", "share"), [(100, 0.85), (250, 0.7), (400, 0.95)])
@pytest.mark.parametrize("alike", [0.0, 0.5])
def test_the_smallest_difference_of_shares_is_found_four_times_of_five(films: int, share: float, alike: float) -> None:
    smallest = smallest_of_shares(share, films, alike)
    assert smallest is not None
    assert power_of_mcnemar(films, share, share - smallest, alike) == pytest.approx(0.8, abs=0.05)


def test_too_few_films_show_nothing() -> None:
    assert smallest_of_shares(0.9, 4, 0.0) is None


@given(st.floats(0.05, 1), st.integers(20, 5000), st.floats(0, 0.9))
def test_more_films_and_models_more_alike_show_smaller_differences(share: float, films: int, alike: float) -> None:
    smallest = smallest_of_shares(share, films, alike)
    if smallest is not None:
        more = smallest_of_shares(share, 2 * films, alike)
        assert more is not None and more <= smallest <= share


def test_the_smallest_difference_of_aurocs_is_found_four_times_of_five() -> None:
    """Films drawn again and again: two models whose AUROCs differ by what the formula says, tested by DeLong's test."""
    random = np.random.default_rng(6)
    truth = np.arange(300) < 120
    errors, alikes = [], []

    def draw(first: float, second: float) -> list[np.ndarray]:
        common = random.standard_normal(300)
        noise = [0.7 * common + 0.714 * random.standard_normal(300) for _ in range(2)]
        return [stats.norm.cdf(each + skill * truth) for each, skill in zip(noise, (first, second), strict=True)]

    for _ in range(40):
        covariance = delong_covariance(list(draw(1.5, 1.5)), truth)[1]
        errors.append(np.sqrt(covariance[0, 0]))
        alikes.append(covariance[0, 1] / covariance[0, 0])
    smallest = smallest_of_auroc(float(np.mean(errors)), float(np.mean(alikes)))
    lower = np.sqrt(2) * stats.norm.ppf(stats.norm.cdf(1.5 / np.sqrt(2)) - smallest)
    pairs = [draw(1.5, lower) for _ in range(400)]
    found = [delong(first, second, truth).p_value < 0.05 for first, second in pairs]
    assert np.mean(found) == pytest.approx(0.8, abs=0.08)
