"""Agreement of readers, and a model beside them, against statsmodels, scikit-learn and published tables."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import stats
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, cohens_kappa, fleiss_kappa

from hilum.measures.bootstrap import Resampling
from hilum.measures.readers.beside_model import over_readers
from hilum.measures.readers.box_agreement import box_agreement
from hilum.measures.readers.kappa import Weighting, cohen_measure, fleiss_measure, kappa

# Fleiss 1971, table 1: 30 patients, 6 psychiatrists each, into depression, personality disorder, schizophrenia,
# neurosis, other. He states kappa = 0.430.
FLEISS_1971 = (
    "00060 03003 01401 00006 03030 20400 00402 20310 20040 00006 10050 11040 03300 10050 02031 "
    "00501 30012 51000 02040 10203 00006 01050 02013 20040 10041 05010 40002 02040 10500 00006 "
)


def once(measure: object, films: int) -> float:
    return float(measure(np.ones((1, films)))[0])  # type: ignore[operator]


@given(
    st.integers(0, 2**32 - 1), st.integers(2, 5), st.integers(2, 60), st.sampled_from(["none", "linear", "quadratic"])
)
@settings(max_examples=80, deadline=None)
def test_cohens_kappa_is_that_of_scikit_learn(seed: int, classes: int, films: int, weighting: Weighting) -> None:
    random = np.random.default_rng(seed)
    first = random.integers(0, classes, films)
    second = np.where(random.random(films) < 0.6, first, random.integers(0, classes, films))
    if len(np.union1d(first, second)) < 2:
        return  # scikit-learn divides by nothing; ours has no value, as the test below has it
    expected = cohen_kappa_score(
        first, second, labels=range(classes), weights=None if weighting == "none" else weighting
    )
    assert once(cohen_measure(first, second, classes, weighting), films) == pytest.approx(expected)


def test_its_interval_is_near_that_of_statsmodels() -> None:
    """Its asymptotic variance, on films of as many patients."""
    random = np.random.default_rng(1)
    first = random.integers(0, 3, 600)
    second = np.where(random.random(600) < 0.7, first, random.integers(0, 3, 600))
    figure = kappa(cohen_measure(first, second, 3), np.arange(600))
    table = np.histogram2d(first, second, bins=[range(4), range(4)])[0]
    expected = cohens_kappa(table)
    assert figure.value == pytest.approx(expected.kappa)
    assert (figure.low, figure.high) == pytest.approx((expected.kappa_low, expected.kappa_upp), abs=0.012)


def test_fleiss_kappa_is_what_fleiss_found() -> None:
    counts = np.array([[int(digit) for digit in row] for row in FLEISS_1971.split()])
    assert counts.shape == (30, 5) and (counts.sum(1) == 6).all()
    assert once(fleiss_measure(counts), 30) == pytest.approx(0.430, abs=0.0005)
    assert once(fleiss_measure(counts), 30) == pytest.approx(fleiss_kappa(counts))


@given(st.integers(0, 2**32 - 1), st.integers(2, 6), st.integers(2, 40))
@settings(max_examples=40, deadline=None)
def test_fleiss_kappa_is_that_of_statsmodels(seed: int, readers: int, films: int) -> None:
    random = np.random.default_rng(seed)
    truth = random.integers(0, 3, films)
    given_by = np.where(random.random((readers, films)) < 0.5, truth, random.integers(0, 3, (readers, films))).T
    given_by[0, :2] = (0, 1)  # never all alike, which leaves no chance to correct for
    counts, _ = aggregate_raters(given_by, 3)
    assert once(fleiss_measure(counts), films) == pytest.approx(fleiss_kappa(counts))


def test_films_of_a_patient_are_drawn_together() -> None:
    """The same films ten times over, as ten films of each patient, are no more evidence than once."""
    random = np.random.default_rng(2)
    first, second = random.integers(0, 2, 50), random.integers(0, 2, 50)
    alone = kappa(cohen_measure(first, second, 2), np.arange(50), Resampling(400))
    tenfold = kappa(
        cohen_measure(np.tile(first, 10), np.tile(second, 10), 2), np.tile(np.arange(50), 10), Resampling(400)
    )
    assert tenfold == alone


def test_readings_of_one_class_alone_have_no_kappa() -> None:
    same = np.zeros(20, np.int64)
    figure = kappa(cohen_measure(same, same, 2), np.arange(20))
    assert figure.value is None and "cannot be told from chance" in figure.why


def test_boxes_are_paired_one_to_one_whoever_comes_first() -> None:
    box, shifted, apart = [0.0, 0.0, 10.0, 10.0], [2.0, 0.0, 10.0, 10.0], [50.0, 50.0, 5.0, 5.0]
    first = [np.array([box, apart]), np.array([box]), np.empty((0, 4)), np.empty((0, 4))]
    second = [np.array([shifted, box]), np.empty((0, 4)), np.array([apart]), np.empty((0, 4))]
    for one, other in ((first, second), (second, first)):
        found = box_agreement(one, other, np.arange(4), Resampling(200))
        assert found.films == 3
        assert found.same.value == pytest.approx(2 * 1 / 6)  # box meets box; `shifted` has nothing left to meet
        assert found.overlap.value == pytest.approx(1.0)


def test_without_chance_in_films_readers_are_a_plain_sample() -> None:
    """Then it is the t test of their differences."""
    apart = np.array([0.05, 0.12, -0.01, 0.08, 0.10])
    found = over_readers(apart, np.zeros((5, 5)))
    expected = stats.ttest_1samp(apart, 0)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert (found.low, found.high) == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_readers_who_are_all_alike_leave_the_chance_in_films() -> None:
    found = over_readers([0.1] * 4, np.full((4, 4), 0.03**2))
    assert found.p_value == pytest.approx(2 * stats.norm.sf(0.1 / 0.03), rel=1e-5)
    assert (found.low, found.high) == pytest.approx((0.1 - 1.959964 * 0.03, 0.1 + 1.959964 * 0.03), abs=1e-6)


def test_its_interval_holds_what_is_true_of_all_readers_in_95_of_100_studies() -> None:
    """Readers drawn from many, films drawn from many: made-up studies of 4 readers and 150 films."""
    random, held, studies = np.random.default_rng(3), 0, 400
    model_right, readers_right, spread = 0.9, 0.8, 0.05
    for _ in range(studies):
        skill = readers_right + random.normal(0, spread, 4)
        hard = random.normal(size=150)  # what makes a film hard for everyone

        def right(share: NDArray[np.float64] | float, hard: NDArray[np.float64] = hard) -> NDArray[np.bool_]:
            own = random.normal(size=(len(np.atleast_1d(share)), 150))
            # half of the chance is the film's, half the reading's
            return np.asarray((hard + own) / np.sqrt(2) < stats.norm.ppf(np.atleast_1d(share))[:, None])

        gains = right(model_right).astype(np.float64) - right(skill)
        found = over_readers(gains.mean(1), np.cov(gains) / 150)
        held += found.low <= model_right - readers_right <= found.high
    assert 0.91 <= held / studies <= 0.985
