"""Intervals against statsmodels, and a bootstrap against one written out film by film."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import Made, made, random_films
from sklearn import metrics
from statsmodels.stats.proportion import proportion_confint

from hilum.measures.bootstrap import (
    Resampling,
    auroc_measure,
    average_precision_measure,
    bootstrap,
    draw,
    total_measure,
)
from hilum.measures.films.binary import binary_figures
from hilum.measures.intervals import known, percentiles, ratio, wilson


@given(st.integers(1, 5000), st.data())
@settings(max_examples=100, deadline=None)
def test_wilson_is_that_of_statsmodels(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    assert wilson(hits, of) == pytest.approx(proportion_confint(hits, of, method="wilson"), abs=1e-12)
    low, high = wilson(hits, of)
    assert 0 <= low <= hits / of <= high <= 1


@given(made(least=4, both=True))
@settings(max_examples=20, deadline=None)
def test_the_bootstrap_is_that_of_films_really_repeated(films: Made) -> None:
    p, t, patients = films
    measures = [auroc_measure(p, t), average_precision_measure(p, t), total_measure(t & (p >= 0.5))]
    made_fast = bootstrap(patients, measures, Resampling(15, 4))
    names = np.unique(patients)
    for row, counts in zip(made_fast, draw(len(names), 15, 4), strict=True):
        repeated = [
            film
            for name, times in zip(names, counts, strict=True)
            for _ in range(times)
            for film in np.flatnonzero(patients == name)
        ]
        again_p, again_t = p[repeated], t[repeated]
        assert row[2] == (again_t & (again_p >= 0.5)).sum()
        if again_t.all() or not again_t.any():
            assert np.isnan(row[0])
        else:
            assert row[0] == pytest.approx(metrics.roc_auc_score(again_t, again_p))
            assert row[1] == pytest.approx(metrics.average_precision_score(again_t, again_p))


def test_every_resample_draws_as_many_patients_as_there_are() -> None:
    counts = draw(37, 100, 1)
    assert (counts.sum(1) == 37).all()
    assert (draw(37, 100, 1) == counts).all()
    assert (draw(37, 100, 2) != counts).any()
    assert counts.mean(0) == pytest.approx(np.ones(37), abs=0.5)


def test_films_of_few_patients_make_wider_intervals_than_films_of_many() -> None:
    p, t, _ = random_films(400)
    # Twenty copies of each film are no new evidence where they are known to be of one patient.
    p, t = np.repeat(p[:20], 20), np.repeat(t[:20], 20)
    alone = binary_figures(p, t, p >= 0.5, np.arange(400), Resampling(300))["auroc"]
    together = binary_figures(p, t, p >= 0.5, np.repeat(np.arange(20), 20), Resampling(300))["auroc"]
    assert alone.low is not None and alone.high is not None
    assert together.low is not None and together.high is not None
    assert together.high - together.low > 2 * (alone.high - alone.low)


def test_the_interval_of_an_auroc_covers_the_truth_about_as_often_as_it_says() -> None:
    # Two normal distributions one apart: the AUROC of endless films is Phi(1 / sqrt 2) = 0.760.
    random, covered = np.random.default_rng(5), 0
    for _ in range(60):
        t = np.arange(80) % 2 == 0
        p = 1 / (1 + np.exp(-(random.normal(size=80) + t)))
        figure = binary_figures(p, t, p >= 0.5, np.arange(80), Resampling(200))["auroc"]
        assert figure.low is not None and figure.high is not None
        covered += figure.low <= 0.7602 <= figure.high
    assert 50 <= covered <= 60


def test_resamples_without_the_figure_do_not_count_and_too_few_give_no_interval() -> None:
    assert percentiles(np.array([np.nan, 0.1, 0.2, 0.3])) == pytest.approx((0.105, 0.295))
    assert percentiles(np.array([np.nan, np.nan, np.nan, 0.3])) is None
    figures = binary_figures([0.2, 0.9], [False, True], [False, True], [1, 1], Resampling(50))
    assert figures["auroc"].value == 1
    assert (figures["auroc"].low, figures["auroc"].high) == (1, 1)


@pytest.mark.parametrize(("sensitivity", "specificity"), [(0.9, 0.95), (0.7, 0.99), (0.97, 0.6)])
def test_the_interval_of_a_ratio_of_shares_holds_what_it_promises(sensitivity: float, specificity: float) -> None:
    """Drawn 4,000 times, the true ratio of false alarms to finds lies within in about 95% of them."""
    random = np.random.default_rng(4)
    found, alarms = random.binomial(60, sensitivity, 4000), random.binomial(80, 1 - specificity, 4000)
    true = (1 - specificity) / sensitivity
    ends = [ratio(known(int(false), 80), known(int(hits), 60)) for false, hits in zip(alarms, found, strict=True)]
    assert 0.93 < np.mean([low <= true <= high for low, high in ends]) < 0.99


def test_no_false_alarm_among_few_films_is_no_promise() -> None:
    low, high = ratio(known(0, 53), known(14, 23))
    assert low == 0
    assert 0.05 < high < 0.2
    assert ratio(known(3, 5), known(0, 5))[1] == float("inf")
