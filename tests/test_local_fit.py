"""Lines, thresholds and limits for films of one's own, against other implementations and by simulation."""

from __future__ import annotations

import numpy as np
import pytest
import statsmodels.api as sm
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.linear_model import LogisticRegression
from statsmodels.stats.proportion import proportion_confint

from hilum.export.calibrate import Goals, choose_points, platt_targets
from hilum.export.local.enough import check_order, needed, shortage
from hilum.export.local.fitting import as_given, changes, fit, left_out, share_of
from hilum.export.local.gate_limit import FARTHEST, REJECTED, fit_limit
from hilum.export.local.line import Line, Sample, fit_line, fit_offset, fit_slope_and_offset, patient_folds
from hilum.measures.bootstrap import Resampling
from hilum.measures.figure import EvaluationError, Floats
from hilum.measures.films.calibration import calibration
from hilum.measures.plan import Plan, in_words
from hilum.measures.precision import films_for_width, films_to_draw

NEW = Goals(of_new_films=True)


def films(
    count: int = 300, seed: int = 1, slope: float = 1.0, offset: float = 0.0, patients: int | None = None
) -> Sample:
    """Log odds that must go along this line to be right."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 2, count)
    truth = random.random(count) < 1 / (1 + np.exp(-(slope * odds + offset)))
    return Sample(odds, truth, random.integers(0, patients or 10 * count, count))


def wanted(sample: Sample) -> Floats:
    return platt_targets(sample.truth.astype(np.int64), 2)[:, 1]


@pytest.mark.parametrize("seed", range(3))
def test_the_offset_is_that_of_a_general_linear_model(seed: int) -> None:
    sample = films(120, seed, offset=-1.5)
    model = sm.GLM(wanted(sample), np.ones(120), family=sm.families.Binomial(), offset=sample.odds)
    line = fit_offset(sample)
    assert line.slope == 1 and line.offset == pytest.approx(model.fit().params[0], abs=1e-6)


@pytest.mark.parametrize("seed", range(3))
def test_slope_and_offset_are_those_of_a_logistic_regression(seed: int) -> None:
    """Platt's targets as films of both kinds, each with its weight."""
    sample = films(120, seed, slope=0.5, offset=1.0)
    targets = wanted(sample)
    twice, weights = np.tile(sample.odds, 2)[:, None], np.concatenate([targets, 1 - targets])
    model = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(twice, np.repeat([1, 0], 120), weights)
    line = fit_slope_and_offset(sample)
    assert line.slope == pytest.approx(model.coef_[0, 0], abs=1e-4)
    assert line.offset == pytest.approx(model.intercept_[0], abs=1e-4)


def test_a_slope_is_taken_where_it_is_clearly_better_alone() -> None:
    assert fit_line(films(400, slope=0.3, offset=-1), 0).way == "slope and offset"
    assert sum(fit_line(films(60, seed, offset=-1), 0).way == "offset" for seed in range(10)) >= 7


def test_a_line_does_not_turn_the_order_of_films_round() -> None:
    sample = films(200)
    assert fit_line(sample._replace(odds=-sample.odds), 0) == fit_offset(sample._replace(odds=-sample.odds))


@given(st.lists(st.tuples(st.floats(-20, 20), st.booleans(), st.integers(0, 9)), min_size=4, max_size=40))
@settings(max_examples=60)
def test_however_few_the_films_a_fit_keeps_their_order(rows: list[tuple[float, bool, int]]) -> None:
    odds, truth, patients = map(np.array, zip(*rows, strict=True))
    truth[:2] = True, False
    odds[:2] = -1.0, 1.0
    line, points = fit(Sample(odds.astype(float), truth.astype(bool), patients), NEW, 0)
    assert line.slope > 0 and np.isfinite(line.offset)
    assert [point.name for point in points] == ["balanced", "sensitive", "specific"]
    assert all(0 <= point.threshold <= 2 for point in points)


def test_patients_stay_together_in_a_fold() -> None:
    sample = films(200, patients=40)
    folds = patient_folds(sample, 0)
    assert all(len(set(folds[sample.patients == patient])) == 1 for patient in set(sample.patients.tolist()))
    assert all(sample.truth[folds != fold].any() for fold in range(5))


@pytest.mark.parametrize(("goal", "count"), [(0.9, 20), (0.95, 20), (0.98, 49), (0.99, 99)])
def test_as_many_are_needed_as_a_promise_for_the_next_film_takes(goal: float, count: int) -> None:
    """A film more is the lowest of n + 1 with a chance of 1 / (n + 1): no more than a goal leaves to be missed."""
    assert needed(goal) == count
    assert 1 / (count + 1) <= 1 - goal + 1e-12


@pytest.mark.parametrize("sick", [20, 30, 60])
def test_new_films_reach_the_goal_on_average(sick: int) -> None:
    """By simulation: thresholds from few films, judged by what is known of all."""
    random = np.random.default_rng(sick)
    reached: list[tuple[float, float]] = []
    for _ in range(600):
        scores = np.concatenate([random.normal(1.5, 1, sick), random.normal(0, 1, 2 * sick)])
        truth = np.arange(3 * sick) < sick
        points = {point.name: point.threshold for point in choose_points(1 / (1 + np.exp(-scores)), truth, NEW)}
        edges = {name: np.log(threshold / (1 - threshold)) for name, threshold in points.items()}
        reached.append((stats.norm.sf(edges["sensitive"], 1.5), stats.norm.cdf(edges["specific"])))
    sensitivity, specificity = np.mean(reached, axis=0)
    errors = np.std(reached, axis=0) / np.sqrt(600)
    assert 0.95 - 3 * errors[0] <= sensitivity <= 0.99
    assert 0.95 - 3 * errors[1] <= specificity <= 0.985


def test_too_few_patients_are_named_with_what_is_needed() -> None:
    assert shortage(20, 20, NEW) == ""
    assert "19 patients with pneumonia" in shortage(19, 500, NEW)
    assert "specificity of at least 0.99 needs 99 without" in shortage(30, 40, Goals(0.95, 0.99, True))


def test_films_that_the_bundle_cannot_tell_apart_are_refused() -> None:
    sample = films(100)
    shuffled = sample._replace(truth=np.random.default_rng(3).permutation(sample.truth))
    check_order(sample, Resampling(200))
    with pytest.raises(EvaluationError, match="no better than chance"):
        check_order(shuffled, Resampling(200))


def test_figures_are_those_of_the_measures_and_nothing_is_gained_by_nothing() -> None:
    sample = films(150, patients=90)
    points = choose_points(1 / (1 + np.exp(-sample.odds)), sample.truth)
    given_ = as_given(sample, points)
    made = {(change.name, change.point): change for change in changes(given_, given_, sample, Resampling(300))}
    reference = calibration(given_.probability, sample.truth)
    assert made["log_loss", ""].before.value == pytest.approx(reference.log_loss)
    assert made["ece", ""].after.value == pytest.approx(reference.ece)
    assert all(change.gain == (0.0, 0.0) for change in made.values())
    called = given_.called["sensitive"]
    assert made["sensitivity", "sensitive"].after.value == pytest.approx(called[sample.truth].mean())
    assert len(made) == 8


def test_what_is_gained_shows_where_the_bundle_was_off() -> None:
    sample = films(400, offset=-2)
    before = as_given(sample, choose_points(1 / (1 + np.exp(-sample.odds)), sample.truth))
    after = left_out(sample, NEW, 0)
    made = {change.name: change for change in changes(before, after, sample, Resampling(300)) if not change.point}
    assert all(made[name].gain is not None and made[name].gain[1] < 0 for name in ("log_loss", "ece"))  # type: ignore[index]


def test_intervals_of_single_films_are_wilsons() -> None:
    sample = films(80)._replace(patients=np.arange(80))
    right = sample.odds > 0
    figure = share_of(right, sample, True)
    low, high = proportion_confint(figure.hits, figure.of, method="wilson")
    assert figure.low == pytest.approx(low, abs=0.01) and figure.high == pytest.approx(high, abs=0.01)


def test_left_out_answers_do_not_know_their_own_patients() -> None:
    """Where one film of a patient comes out otherwise, what is said of the patient's other films stays."""
    sample = films(200, patients=60)
    own = sample.patients == sample.patients[0]
    odds = sample.odds.copy()
    odds[0] += 8
    was, now = left_out(sample, NEW, 0), left_out(sample._replace(odds=odds), NEW, 0)
    others = own & (np.arange(200) > 0)
    assert others.any()
    np.testing.assert_array_equal(was.probability[others], now.probability[others])
    assert (was.probability[~own] != now.probability[~own]).any()


def test_the_limit_of_the_gate_is_exceeded_as_seldom_as_it_says() -> None:
    random = np.random.default_rng(4)
    beyond = []
    for _ in range(500):
        made = fit_limit(random.lognormal(-0.5, 0.3, 250))
        assert made is not None
        beyond.append(stats.lognorm.sf(made.limit, 0.3, scale=np.exp(-0.5)))
    assert np.mean(beyond) <= REJECTED + 3 * np.std(beyond) / np.sqrt(500)
    assert np.mean(beyond) >= REJECTED / 2


def test_the_limit_needs_films_and_has_an_end() -> None:
    assert fit_limit(np.full(98, 0.5)) is None
    made = fit_limit(np.full(99, 0.5))
    assert made is not None and made.limit == pytest.approx(0.5, rel=1e-5)
    assert made.turned_away_after == 0
    strange = fit_limit(np.full(200, 5.0))
    assert strange is not None and strange.limit == FARTHEST and strange.turned_away_after == 1


@pytest.mark.parametrize(("share", "width"), [(0.9, 0.1), (0.5, 0.2), (0.99, 0.03)])
def test_so_many_films_make_an_interval_so_narrow(share: float, width: float) -> None:
    def wide(count: int) -> float:
        low, high = proportion_confint(share * count, count, method="wilson")
        return float(high - low)

    count = films_for_width(share, width)
    assert wide(count) <= width < wide(count - 1)


@pytest.mark.parametrize(("kind", "share"), [(20, 0.2), (141, 0.05), (3, 0.9)])
def test_so_many_films_hold_enough_of_a_kind_nine_times_of_ten(kind: int, share: float) -> None:
    count = films_to_draw(kind, share)
    assert stats.binom.sf(kind - 1, count, share) >= 0.9 > stats.binom.sf(kind - 1, count - 1, share)


def test_a_plan_says_what_both_figures_need() -> None:
    rows = list(in_words(Plan.of(0.2, 0.9, 0.9, 0.1)))
    assert rows[1] == ("sensitivity 0.9 to 0.1", "141", "", "705", "774")
    assert rows[3][:4] == ("both", "141", "141", "705")


@pytest.mark.parametrize(
    ("asked", "says"),
    [
        ((None, 0.9, None, 0.1), "a plan needs"),
        ((1.2, 0.9, None, 0.1), "--prevalence 1.2"),
        ((0.2, 0.9, None, 1e-5), "narrow"),
    ],
)
def test_a_plan_that_nothing_answers_is_refused(asked: tuple[float | None, ...], says: str) -> None:
    with pytest.raises(EvaluationError, match=says):
        Plan.of(*asked)


def test_a_line_moves_the_classes_of_a_film_and_keeps_their_shares() -> None:
    line, positive = Line(0.5, -1.0, "slope and offset"), np.array([False, False, True, True])
    before = np.array([0.3, 0.1, 0.4, 0.2])
    after = line.shares(before, positive)
    assert after.sum() == pytest.approx(1)
    assert np.log(after[2:].sum() / after[:2].sum()) == pytest.approx(0.5 * np.log(0.6 / 0.4) - 1)
    assert after[2] / after[3] == pytest.approx(2) and after[0] / after[1] == pytest.approx(3)
