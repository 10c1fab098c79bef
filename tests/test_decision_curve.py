"""Net benefit and risk-coverage against their definitions, film by film."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from judged import Made, made

from hilum.measures.films.abstention import risk_coverage
from hilum.measures.films.calibration import logit
from hilum.measures.films.decision_curve import decision_curve


@given(made(most=60))
@settings(max_examples=40, deadline=None)
def test_net_benefit_is_right_calls_less_weighed_wrong_ones(films: Made) -> None:
    p, t, _ = films
    made_of = decision_curve(p, t)
    for threshold, model, everyone in zip(*made_of, strict=True):
        weight = threshold / (1 - threshold)
        called = p >= threshold
        assert model == pytest.approx(((called & t).sum() - weight * (called & ~t).sum()) / len(t))
        assert everyone == pytest.approx((t.sum() - weight * (~t).sum()) / len(t))


def test_a_model_that_knows_everything_is_worth_the_prevalence() -> None:
    t = np.arange(10) < 3
    assert decision_curve(t.astype(float), t).model == pytest.approx(np.full(99, 0.3))


@given(made(most=60))
@settings(max_examples=60, deadline=None)
def test_risk_is_the_share_of_errors_among_the_films_that_are_as_sure(films: Made) -> None:
    p, t, _ = films
    made_of = risk_coverage(p, t, 0.4)
    wrong = (p >= 0.4) != t
    sureness = np.abs(logit(p) - logit(np.array([0.4])))
    expected = [(float((sureness >= s).mean()), float(wrong[sureness >= s].mean())) for s in np.unique(sureness)[::-1]]
    assert np.column_stack([made_of.coverage, made_of.risk]) == pytest.approx(np.array(expected))
    assert made_of.coverage[-1] == 1
    assert made_of.risk[-1] == pytest.approx(wrong.mean())
    assert 0 <= made_of.area <= 1


def test_the_area_is_the_mean_risk_over_coverage() -> None:
    made_of = risk_coverage([0.9, 0.8, 0.6, 0.45], [True, True, False, True], 0.5)
    assert made_of.risk.tolist() == pytest.approx([0, 0, 1 / 3, 0.5])
    assert made_of.area == pytest.approx((0 + 0 + 1 / 3 + 0.5) / 4)
