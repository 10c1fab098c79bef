"""Calibration figures against scikit-learn, statsmodels and their definitions."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import statsmodels.api as sm
from bundles import tiny_card
from hypothesis import given, settings
from judged import Made, made, random_films
from sklearn import metrics

from hilum.bundle.card import Calibration
from hilum.evaluation.before import before_calibration
from hilum.export.calibrate import apply
from hilum.measures.figure import EvaluationError
from hilum.measures.films.calibration import (
    bins_of_equal_count,
    bins_of_equal_width,
    calibration,
    in_the_large,
    log_loss,
    logit,
    slope_and_intercept,
)


@given(made(both=True))
@settings(max_examples=60, deadline=None)
def test_brier_and_log_loss_are_those_of_scikit_learn(films: Made) -> None:
    p, t, _ = films
    assert calibration(p, t).brier == pytest.approx(metrics.brier_score_loss(t, p))
    assert log_loss(p, t) == pytest.approx(metrics.log_loss(t, np.clip(p, 1e-6, 1 - 1e-6)))


@given(made(most=120))
@settings(max_examples=60, deadline=None)
def test_ece_is_the_gap_of_each_bin_by_the_films_in_it(films: Made) -> None:
    p, t, _ = films
    gap = 0.0
    for number in range(15):
        members = [film for film in range(len(p)) if min(math.floor(p[film] * 15), 14) == number]
        if members:
            gap += len(members) / len(p) * abs(p[members].mean() - t[members].mean())
    assert calibration(p, t).ece == pytest.approx(gap)


@given(made(most=120))
@settings(max_examples=60, deadline=None)
def test_adaptive_bins_hold_every_film_once_and_never_part_equal_probabilities(films: Made) -> None:
    p, t, _ = films
    bins = bins_of_equal_count(p, t)
    assert sum(each.films for each in bins) == len(p)
    assert sum(each.films * each.predicted for each in bins) == pytest.approx(p.sum())
    assert [each.predicted for each in bins] == sorted(each.predicted for each in bins)
    assert len(bins) <= min(15, len(np.unique(p)))


def test_adaptive_bins_are_of_equal_count_where_no_probabilities_are_equal() -> None:
    random = np.random.default_rng(1)
    p = random.random(150) ** 3
    assert [each.films for each in bins_of_equal_count(p, p > 0.5)] == [10] * 15
    assert len(bins_of_equal_width(p, p > 0.5)) <= 15


def test_slope_and_intercepts_are_those_of_statsmodels() -> None:
    for seed in range(5):
        p, t, _ = random_films(200, seed)
        slope, intercept = slope_and_intercept(p, t)
        design = sm.add_constant(logit(p))
        fitted = sm.Logit(t.astype(float), design).fit(disp=0)
        assert [intercept.value, slope.value] == pytest.approx(fitted.params, abs=1e-6)
        ends = fitted.conf_int()
        assert [intercept.low, slope.low] == pytest.approx(ends[:, 0], abs=1e-5)
        assert [intercept.high, slope.high] == pytest.approx(ends[:, 1], abs=1e-5)
        shifted = sm.GLM(t.astype(float), np.ones(len(t)), sm.families.Binomial(), offset=logit(p)).fit()
        large = in_the_large(p, t)
        assert large.value == pytest.approx(shifted.params[0], abs=1e-6)
        assert large.low == pytest.approx(shifted.conf_int()[0, 0], abs=1e-5)


def test_probabilities_that_mean_what_they_say_have_slope_one_and_too_extreme_ones_less() -> None:
    random = np.random.default_rng(1)
    p = random.random(20_000)
    t = random.random(20_000) < p
    right = calibration(p, t)
    assert right.slope.value == pytest.approx(1, abs=0.05)
    assert right.intercept.value == pytest.approx(0, abs=0.06)
    assert right.ece < 0.015
    extreme = 1 / (1 + np.exp(-2 * logit(p)))
    assert calibration(extreme, t).slope.value == pytest.approx(0.5, abs=0.03)
    assert calibration(extreme, t).ece > 0.05


@pytest.mark.parametrize(
    ("p", "t", "why"),
    [
        ([0.1, 0.2, 0.8, 0.9], [0, 0, 1, 1], "do not overlap"),
        ([0.1, 0.5, 0.5, 0.9], [0, 0, 1, 1], "do not overlap"),
        ([0.4, 0.4, 0.4], [0, 1, 1], "the same probability"),
        ([0.4, 0.6], [1, 1], "one class"),
        ([0.4], [0], "one class"),
    ],
)
def test_a_slope_that_does_not_exist_is_said_to(p: list[float], t: list[int], why: str) -> None:
    made_of = calibration(p, t)
    assert made_of.slope.value is None
    assert why in made_of.slope.why
    assert 0 <= made_of.brier <= 1


def test_no_number_is_refused() -> None:
    with pytest.raises(EvaluationError, match="no numbers from 0 to 1"):
        calibration([0.1, math.nan], [0, 1])


@pytest.mark.parametrize(
    "done", [Calibration("temperature", 2.5, [], [], {}), Calibration("platt", 1.0, [1.3, 0.4], [], {})]
)
def test_calibration_is_undone(done: Calibration) -> None:
    logits = np.random.default_rng(2).normal(size=(50, 3)) * 3
    classes, positive = ["normal", "bacterial", "viral"], [1, 2]
    card = replace(tiny_card(), classes=classes, positive=classes[1:], calibration=done)
    shipped = apply(done, logits, positive)
    raw = apply(Calibration("none", 1.0, [], [], {}), logits, positive)
    before, why = before_calibration(card, shipped[:, 1:].sum(1), shipped)
    assert before == pytest.approx(raw[:, 1:].sum(1), abs=1e-5)
    assert not why


def test_calibration_that_cannot_be_undone_is_said_to() -> None:
    isotonic = replace(tiny_card(), calibration=Calibration("isotonic", 1.0, [0.0, 1.0], [0.0, 1.0], {}))
    before, why = before_calibration(isotonic, np.array([0.5]), np.array([[0.5, 0.5]]))
    assert before is None
    assert "cannot be undone" in why
