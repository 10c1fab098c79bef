"""Films against a baseline: alarms come where films are of another kind, and seldom where they are not."""

from __future__ import annotations

import json
from dataclasses import asdict

import numpy as np
import pytest
from drifting import NUMBERS, joined, made_axes, made_baseline, some_films
from hypothesis import given
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from hilum.bundle.drift import comparison
from hilum.bundle.drift.baseline import PNEUMONIA, DriftCard, fit_axes
from hilum.bundle.drift.comparison import LEVEL, compare, strangeness
from hilum.bundle.drift.fitting import FEWEST_BETWEEN, fit_baseline
from hilum.bundle.drift.grays import GRAYS, grays_of
from hilum.bundle.drift.monitor import Monitor
from hilum.bundle.drift.traits import facts_of
from hilum.system.typed import MisfitError, build


@pytest.mark.parametrize(("baseline_films", "films"), [(60, 40), (300, 200)])
def test_films_of_the_same_kind_alarm_in_at_most_one_of_twenty_sets(baseline_films: int, films: int) -> None:
    random = np.random.default_rng(baseline_films)
    sets = 150
    alarms = sum(compare(some_films(random, films), made_baseline(random, baseline_films)).alarms for _ in range(sets))
    # Of 150 sets 1 in 20 is 7.5; more than 14 has a chance of less than 1%.
    assert alarms <= 14


def test_films_of_one_of_several_sources_are_of_the_same_kind() -> None:
    random = np.random.default_rng(3)
    baseline = made_baseline(random, 200, sources=2)
    for number in range(2):
        found = compare(some_films(random, 150, 3.0 * number), baseline)
        assert found.groups[0].kind.source == f"source {number}"
        assert not found.alarms
    both = joined(some_films(random, 150), some_films(random, 150, 3.0))
    assert compare(both, baseline).groups[0].kind.source == "all together"
    assert compare(some_films(random, 150, 1.5), baseline).alarms


@pytest.mark.parametrize("trait", range(NUMBERS))
def test_a_trait_that_moved_is_named(trait: int) -> None:
    random = np.random.default_rng(4)
    baseline, films = made_baseline(random, 200), some_films(random, 200)
    films.numbers[:, trait] += 2.0
    first = compare(films, baseline).groups[0].shifts[0]
    assert first.trait == baseline.names[trait]
    assert first.alarms
    assert first.median is not None and first.usual is not None and first.median > first.usual + 1
    assert 0.2 < first.apart <= 1


def test_a_size_that_never_came_before_is_named() -> None:
    random = np.random.default_rng(5)
    films = some_films(random, 60, sides=(256,))
    first = compare(films, made_baseline(random, 200)).groups[0].shifts[0]
    assert (first.trait, first.alarms, first.value) == ("size", True, "about 256 px")
    assert first.apart == 1


def test_what_a_baseline_does_not_know_any_more_is_not_compared() -> None:
    random = np.random.default_rng(21)
    baseline, films = made_baseline(random, 200), some_films(random, 200)
    films.numbers[:, baseline.names.index(PNEUMONIA)] += 5.0
    assert compare(films, baseline).alarms
    less = baseline.without({PNEUMONIA})
    assert not compare(films, less).alarms
    assert Monitor(less).add(films) is None


def test_a_baseline_of_an_earlier_hilum_knows_no_gray_levels_and_still_serves() -> None:
    random = np.random.default_rng(22)
    earlier = build(DriftCard, asdict(made_baseline(random, 200).without(GRAYS)))
    films = some_films(random, 60)
    found = compare(films, earlier)
    assert not found.alarms
    assert {shift.trait for shift in found.groups[0].shifts}.isdisjoint(GRAYS)
    assert Monitor(earlier).add(films) is None
    films.numbers[:, 0] += 5.0
    assert compare(films, earlier).alarms


def test_gray_levels_are_those_of_numpy_and_contrast_leaves_their_detail_alone() -> None:
    random = np.random.default_rng(23)
    films = gaussian_filter(random.normal(size=(3, 80, 60)), (0, 2, 2))
    plain, more = ((128 + contrast * 60 * films / films.std()).astype(np.uint8) for contrast in (0.3, 0.48))
    level, spread, detail = grays_of(plain).T
    assert level == pytest.approx([film.mean() for film in plain])
    assert spread == pytest.approx([film.std() for film in plain])
    assert grays_of(more)[:, 1] == pytest.approx(1.6 * spread, rel=0.02)
    assert grays_of(more)[:, 2] == pytest.approx(detail, abs=0.03)
    assert (grays_of(gaussian_filter(plain, (0, 2, 2)))[:, 2] < detail - 0.2).all()
    assert np.isfinite(grays_of(np.zeros((1, 4, 4), np.uint8))).all()


def test_spread_counts_where_the_middle_stays() -> None:
    random = np.random.default_rng(6)
    baseline, films = made_baseline(random, 300), some_films(random, 300)
    middle = np.median(films.numbers[:, 1])
    films.numbers[:, 1] = middle + 0.4 * (films.numbers[:, 1] - middle)
    assert compare(films, baseline).groups[0].shifts[0].trait == baseline.names[1]


def test_children_are_compared_with_children() -> None:
    random = np.random.default_rng(17)
    known = joined(some_films(random, 100, patient="child"), some_films(random, 100, 5.0, "adult"))
    baseline = fit_baseline(known, ["a hospital"] * 200, made_axes())
    assert baseline is not None
    assert [kind.patient for kind in baseline.kinds] == ["child", "adult"]
    # Another mix of them is no drift, adults that look like children are.
    mixed = joined(some_films(random, 30, patient="child"), some_films(random, 300, 5.0, "adult"))
    assert not compare(mixed, baseline).alarms
    odd = compare(joined(some_films(random, 100, patient="child"), some_films(random, 100, 0.0, "adult")), baseline)
    assert [group.alarms for group in odd.groups] == [False, True]


def test_patients_of_whom_nothing_is_known_are_drift() -> None:
    from scipy.stats import fisher_exact

    random = np.random.default_rng(20)
    known = joined(some_films(random, 100, patient="adult"), some_films(random, 3, patient="child"))
    baseline = fit_baseline(known, ["a hospital"] * 103, made_axes())
    assert baseline is not None
    for strangers, alarms in ((2, False), (30, True)):
        films = joined(some_films(random, 60, patient="adult"), some_films(random, strangers, patient="child"))
        found = compare(films, baseline).strangers
        expected = fisher_exact([[strangers, 60], [3, 100]], "greater").pvalue
        assert found.p == pytest.approx(min(2 * expected, 1))  # one more look than at the adults
        assert (found.films, found.alarms) == (strangers, alarms)


def test_of_few_films_nothing_is_said() -> None:
    random = np.random.default_rng(8)
    found = compare(some_films(random, comparison.FEWEST - 1, 99.0), made_baseline(random, 100))
    assert (found.groups, found.skipped, found.alarms) == ((), comparison.FEWEST - 1, False)


def test_p_values_are_those_of_scipy_where_it_knows_them() -> None:
    from scipy.stats import chi2_contingency

    here, usual = np.array([120, 50, 30]), np.array([90, 70, 40])
    expected = chi2_contingency(np.stack([here, usual]), correction=False).pvalue
    assert comparison.p_of_fact(here + usual, here, 0) == pytest.approx(expected, abs=0.01)


@given(st.lists(st.sampled_from([0.0, 0.5, 1.0, 7.25]) | st.floats(-1e6, 1e6), min_size=50, max_size=200))
def test_no_quantile_is_a_single_film(values: list[float]) -> None:
    films = some_films(np.random.default_rng(0), len(values))
    films.numbers[:, 0] = values
    baseline = fit_baseline(films, ["here"] * len(values), made_axes())
    assert baseline is not None
    steps = baseline.kinds[0].numbers["axis 1"]
    counts = np.diff([0, *steps.ranks, len(values)])
    assert not steps.ranks or counts.min() >= FEWEST_BETWEEN
    for value, rank in zip(steps.values, steps.ranks, strict=True):
        assert sum(each <= value for each in values) == rank


def test_a_baseline_survives_the_card() -> None:
    baseline = made_baseline(np.random.default_rng(1), 60, sources=2)
    assert build(DriftCard, json.loads(json.dumps(asdict(baseline)))) == baseline


@pytest.mark.parametrize(
    "change",
    [
        lambda card: card["axes"].update(center="AAAA"),
        lambda card: card["axes"].update(scale=[]),
        lambda card: card["kinds"].clear(),
        lambda card: card["kinds"].append(card["kinds"][0]),
        lambda card: card["kinds"][0].update(films=7),
        lambda card: card["kinds"][0]["numbers"]["axis 1"]["values"].reverse(),
        lambda card: card["kinds"][0]["facts"]["bits"].update({"12": 3}),
    ],
)
def test_a_baseline_that_does_not_hold_together_is_refused(change: object) -> None:
    plain = json.loads(json.dumps(asdict(made_baseline(np.random.default_rng(1), 60))))
    assert callable(change)
    change(plain)
    with pytest.raises(MisfitError):
        build(DriftCard, plain)


def test_axes_are_those_of_principal_components() -> None:
    from sklearn.decomposition import PCA

    random = np.random.default_rng(2)
    films = (random.normal(size=(200, 30)) * np.linspace(3, 0.1, 30) + 2).astype(np.float32)
    others = random.normal(size=(7, 30)).astype(np.float32)
    axes = fit_axes(films)
    assert axes is not None and len(axes.scale) == 12
    reference = PCA(12, svd_solver="full").fit(films)
    expected = reference.transform(others) / np.sqrt(reference.explained_variance_)
    np.testing.assert_allclose(np.abs(axes.project(others)[:, :12]), np.abs(expected), atol=0.02)
    beside = np.sqrt(np.square(others - reference.inverse_transform(reference.transform(others))).mean(1))
    np.testing.assert_allclose(np.exp(axes.project(others)[:, 12]), beside, rtol=0.01)


def test_the_farthest_films_are_those_that_lie_far_out() -> None:
    random = np.random.default_rng(9)
    baseline, films = made_baseline(random, 200), some_films(random, 50)
    films.numbers[17] += 30
    far = np.square(strangeness(films, baseline.kinds[0], baseline.names)).mean(1)
    assert int(far.argmax()) == 17


def test_facts_name_no_film() -> None:
    assert facts_of(2022, 1800, 12, "MONOCHROME1") == (
        "about 1720 px",
        "0.92 times as wide as high",
        "12",
        "MONOCHROME1",
    )
    assert facts_of(None, None, None, None) == ("unknown",) * 4
    assert facts_of(250, 256, None, None)[0] == facts_of(256, 256, None, None)[0] == "about 256 px"


def test_the_level_is_what_the_page_says() -> None:
    assert LEVEL == 0.05
