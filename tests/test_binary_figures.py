"""Binary figures against scikit-learn, and what is said where there is no figure."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from judged import Made, made, random_films
from sklearn import metrics

from hilum.measures.bootstrap import Resampling
from hilum.measures.figure import EvaluationError, checked
from hilum.measures.films.binary import PREVALENCES, auroc, average_precision, binary_figures, curve
from hilum.measures.films.thresholds import (
    best_on_this_split,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    sweep,
)

OF_DECISIONS: dict[str, Callable[..., Any]] = {
    "sensitivity": lambda t, d: metrics.recall_score(t, d, zero_division=np.nan),
    "specificity": lambda t, d: metrics.recall_score(~t, ~d, zero_division=np.nan),
    "ppv": lambda t, d: metrics.precision_score(t, d, zero_division=np.nan),
    "npv": lambda t, d: metrics.precision_score(~t, ~d, zero_division=np.nan),
    "accuracy": metrics.accuracy_score,
    "f1": lambda t, d: metrics.f1_score(t, d, zero_division=np.nan),
}


@given(made())
@settings(max_examples=60, deadline=None)
def test_figures_of_decisions_are_those_of_scikit_learn(films: Made) -> None:
    decision = films.probability >= 0.5
    figures = binary_figures(*films[:2], decision, films.patients, Resampling(20))
    for name, reference in OF_DECISIONS.items():
        expected = reference(films.truth, decision)
        if math.isnan(expected):
            assert figures[name].value is None
            assert figures[name].why
        else:
            assert figures[name].value == pytest.approx(expected)


@given(made(both=True))
@settings(max_examples=60, deadline=None)
def test_ranking_with_ties_is_that_of_scikit_learn(films: Made) -> None:
    p, t, _ = films
    assert auroc(p, t) == pytest.approx(metrics.roc_auc_score(t, p))
    assert average_precision(p, t) == pytest.approx(metrics.average_precision_score(t, p))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        decision = p >= 0.5
        figures = binary_figures(p, t, decision, films.patients, Resampling(20))
        assert figures["balanced_accuracy"].value == pytest.approx(metrics.balanced_accuracy_score(t, decision))
        if 0 < decision.sum() < len(t):
            assert figures["mcc"].value == pytest.approx(metrics.matthews_corrcoef(t, decision))
        else:  # scikit-learn says 0, which looks like a measurement
            assert figures["mcc"].value is None


@given(made(both=True))
@settings(max_examples=40, deadline=None)
def test_the_curve_goes_through_every_point_that_a_threshold_can_reach(films: Made) -> None:
    p, t, _ = films
    at = curve(p, t)
    fpr, tpr, thresholds = metrics.roc_curve(t, p, drop_intermediate=False)
    assert at.thresholds[1:] == pytest.approx(thresholds[1:])
    assert at.sensitivity == pytest.approx(tpr)
    assert 1 - at.specificity == pytest.approx(fpr)


def test_ppv_at_a_prevalence_is_that_of_films_mixed_so() -> None:
    films = random_films()
    decision = films.probability >= 0.5
    figures = binary_figures(*films[:2], decision, films.patients, Resampling(200))
    for prevalence in PREVALENCES:
        weights = np.where(films.truth, prevalence / films.truth.mean(), (1 - prevalence) / (1 - films.truth.mean()))
        expected = metrics.precision_score(films.truth, decision, sample_weight=weights)
        figure = figures[f"ppv_at_{prevalence:.0%}"]
        assert figure.value == pytest.approx(expected)
        assert figure.low is not None and figure.high is not None and figure.low < expected < figure.high
        expected = metrics.precision_score(~films.truth, ~decision, sample_weight=weights)
        assert figures[f"npv_at_{prevalence:.0%}"].value == pytest.approx(expected)


@pytest.mark.parametrize("sick", [True, False])
@pytest.mark.parametrize("films", [1, 5])
def test_one_class_gives_a_statement_instead_of_a_number(sick: bool, films: int) -> None:
    p, t = np.linspace(0.1, 0.9, films), np.full(films, sick)
    figures = binary_figures(p, t, p >= 0.5, np.arange(films), Resampling(50))
    for name in ("auroc", "balanced_accuracy", "mcc", "specificity" if sick else "sensitivity"):
        assert figures[name].value is None
        assert figures[name].why
        assert str(figures[name]).startswith("none: ")
    assert figures["accuracy"].value is not None
    assert best_on_this_split(p, t) is None
    assert all(row.best is None for row in (*sensitivity_at_specificity(p, t), *specificity_at_sensitivity(p, t)))


@pytest.mark.parametrize("bad", [math.nan, -0.1, 1.1, math.inf])
def test_what_is_no_probability_is_refused(bad: float) -> None:
    p, t = np.array([0.2, bad, 0.7]), np.array([True, False, True])
    for judge in (auroc, average_precision, curve, sweep):
        with pytest.raises(EvaluationError, match="1 of 3 probabilities are no numbers from 0 to 1"):
            judge(p, t)


def test_arrays_that_do_not_go_together_are_refused() -> None:
    with pytest.raises(EvaluationError, match="do not go with"):
        checked([0.5, 0.5], [True])
    with pytest.raises(EvaluationError, match="not one film"):
        checked([], [])
    with pytest.raises(EvaluationError, match="true or false"):
        checked([0.5], [2])


@given(made(both=True))
@settings(max_examples=40, deadline=None)
def test_a_sweep_decides_as_the_threshold_does(films: Made) -> None:
    p, t, _ = films
    for row in sweep(p, t):
        decision = p >= row.threshold
        assert row.called == decision.sum()
        assert row.sensitivity == pytest.approx(decision[t].mean())
        assert row.specificity == pytest.approx((~decision[~t]).mean())


@given(made(both=True))
@settings(max_examples=40, deadline=None)
def test_fixed_and_best_points_are_the_best_by_trying_all(films: Made) -> None:
    p, t, _ = films
    tried = [(float((p[t] >= x).mean()), float((p[~t] < x).mean())) for x in (*np.unique(p), np.inf)]
    for row in sensitivity_at_specificity(p, t):
        assert row.best == pytest.approx(max(se for se, sp in tried if sp >= row.at_least - 1e-9))
        assert row.threshold is not None and (p[~t] < row.threshold).mean() >= row.at_least - 1e-9
    for row in specificity_at_sensitivity(p, t):
        assert row.best == pytest.approx(max(sp for se, sp in tried if se >= row.at_least - 1e-9))
    best = best_on_this_split(p, t)
    assert best is not None
    assert best.sensitivity + best.specificity == pytest.approx(max(map(sum, tried)))
