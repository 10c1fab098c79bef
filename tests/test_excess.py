"""Whether some films are judged wrongly more often: intervals and tests against statsmodels, SciPy and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint

from hilum.measures.films.excess import excess, fisher, worth
from hilum.measures.many_looks import holm

p_lists = st.lists(st.floats(0, 1), min_size=1, max_size=30)
counts = st.tuples(*[st.integers(0, 30)] * 4).filter(lambda four: four[0] + four[1] and four[2] + four[3])


def films(counted: tuple[int, int, int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Members that are wrong and right, others that are wrong and right."""
    wrong = np.repeat([True, False, True, False], counted)
    return wrong, np.repeat([True, True, False, False], counted)


@given(p_lists)
def test_holm_is_that_of_statsmodels(p: list[float]) -> None:
    np.testing.assert_allclose(holm(p), multipletests(p, method="holm")[1])


@given(counts)
def test_fishers_test_is_that_of_scipy(counted: tuple[int, int, int, int]) -> None:
    wrong, member = films(counted)
    table = [counted[:2], counted[2:]]
    assert fisher(wrong, member) == pytest.approx(stats.fisher_exact(table).pvalue, rel=1e-6)


@given(counts)
def test_of_films_of_as_many_patients_intervals_are_wilsons_and_newcombes(counted: tuple[int, int, int, int]) -> None:
    wrong, member = films(counted)
    made = excess(wrong, member, np.arange(len(wrong)))
    hits, of, other_hits, other_of = counted[0], sum(counted[:2]), counted[2], sum(counted[2:])
    assert (made.low, made.high) == pytest.approx(proportion_confint(hits, of, method="wilson"), abs=1e-9)
    expected = confint_proportions_2indep(hits, of, other_hits, other_of, method="newcomb", compare="diff")
    assert (made.more_low, made.more_high) == pytest.approx(expected, abs=1e-9)
    assert made.more == pytest.approx(hits / of - other_hits / other_of)


@given(counts, st.integers(2, 4))
def test_films_that_are_copies_of_each_other_are_worth_one(counted: tuple[int, int, int, int], copies: int) -> None:
    wrong, member = films(counted)
    once = excess(wrong, member, np.arange(len(wrong)))
    patients = np.repeat(np.arange(len(wrong)), copies)
    again = excess(np.repeat(wrong, copies), np.repeat(member, copies), patients)
    # A patient more or less in the correction for few patients is all that parts them.
    assert (again.low, again.high) == pytest.approx((once.low, once.high), abs=0.05)
    assert worth(np.repeat(wrong, copies), patients) <= len(wrong) * (1 + 1e-9) * copies


def test_copies_make_no_difference_surer() -> None:
    wrong, member = films((3, 5, 4, 36))
    once = excess(wrong, member, np.arange(len(wrong))).p_value
    assert fisher(np.repeat(wrong, 4), np.repeat(member, 4)) < 0.1 * once
    again = excess(np.repeat(wrong, 4), np.repeat(member, 4), np.repeat(np.arange(len(wrong)), 4)).p_value
    assert 0.3 * once < again


def test_where_nothing_differs_false_alarms_are_rare_with_several_films_a_patient_and_small_strata() -> None:
    """Patients of 1 to 4 films that go wrong together, strata of 10 to 60 films by patient and by film."""
    random = np.random.default_rng(4)
    alarms = 0
    for _ in range(400):
        films_of = random.integers(1, 5, 80)
        patients = np.repeat(np.arange(80), films_of)
        risk = np.where(random.random(80) < 0.2, 0.6, 0.03)
        wrong = random.random(len(patients)) < risk[patients]
        by_patient = [np.isin(patients, random.permutation(80)[:size]) for size in (5, 15, 30)]
        by_film = [np.isin(np.arange(len(patients)), random.permutation(len(patients))[:size]) for size in (10, 30, 60)]
        p = [excess(wrong, member, patients).p_value for member in (*by_patient, *by_film)]
        alarms += bool((holm(p) < 0.05).any())
    # 5 of 100 tables at most are to alarm; 400 tables show that up to chance.
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)


def test_a_difference_that_is_there_is_found() -> None:
    random = np.random.default_rng(5)
    member = np.arange(300) < 60
    wrong = random.random(300) < np.where(member, 0.35, 0.08)
    made = excess(wrong, member, np.arange(300))
    assert made.p_value < 0.001 and made.more_low > 0.1
