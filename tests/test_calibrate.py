"""Probabilities that can be taken at their word, and thresholds chosen on validation films."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.special import expit, softmax
from sklearn.calibration import _sigmoid_calibration, _TemperatureScaling, calibration_curve
from sklearn.isotonic import IsotonicRegression
from sklearn.metrics import brier_score_loss, log_loss, roc_curve

from hilum.bundle.card import BundleError, Calibration
from hilum.export import calibrate as room
from hilum.export.calibrate import apply, calibrate, operating_points

Floats = NDArray[np.float64]


def drawn(films: int, seed: int, slope: float = 1.0, offset: float = 0.0) -> tuple[Floats, NDArray[np.int64]]:
    """Two logits a film, and classes drawn from sigmoid(slope * log odds + offset)."""
    random = np.random.default_rng(seed)
    odds = random.normal(0, 3, films)
    targets = (random.random(films) < expit(slope * odds + offset)).astype(np.int64)
    return np.stack([-odds / 2, odds / 2], 1) + random.normal(0, 1, (films, 1)), targets


def three_classes(films: int, seed: int, temperature: float) -> tuple[Floats, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2, (films, 3))
    chances = softmax(logits / temperature, axis=1)
    return logits, (chances.cumsum(1) < random.random((films, 1))).sum(1)


def test_an_overconfident_network_gets_the_temperature_it_was_drawn_with() -> None:
    logits, targets = three_classes(6000, 1, temperature=2.5)
    fitted = room.fit_temperature(logits, targets, [1, 2])
    assert fitted.temperature == pytest.approx(2.5, rel=0.08)
    figures = calibrate(logits, targets, [1, 2]).figures
    for figure in ("log_loss", "ece", "brier"):
        assert figures[f"{figure}_after"] < figures[f"{figure}_before"]


def test_temperature_agrees_with_scikit_learn() -> None:
    logits, targets = three_classes(4000, 2, temperature=1.8)
    reference = _TemperatureScaling().fit(logits, targets)
    ours = apply(room.fit_temperature(logits, targets, [1]), logits, [1])
    np.testing.assert_allclose(ours, reference.predict(logits), atol=3e-3)


def test_platt_agrees_with_scikit_learn() -> None:
    logits, targets = drawn(500, 3, slope=0.4, offset=-1.0)
    slope, offset = room.fit_platt(logits, targets, [1]).x
    # Theirs is 1 / (1 + exp(a * s + b)).
    reference = _sigmoid_calibration(room.positive_score(logits, [1]), targets)
    assert (slope, offset) == pytest.approx((-reference[0], -reference[1]), abs=1e-4)


def test_isotonic_agrees_with_scikit_learn_but_is_never_certain() -> None:
    logits, targets = drawn(3000, 4, slope=0.5, offset=0.5)
    fitted = room.fit_isotonic(logits, targets, [1])
    chance = apply(fitted, logits, [1])[:, 1]
    raw = softmax(logits, axis=1)[:, 1]
    reference = IsotonicRegression(out_of_bounds="clip").fit(raw, targets).predict(raw)
    np.testing.assert_allclose(chance, reference, atol=2e-3)
    assert chance.min() > 0 and chance.max() < 1


def test_another_way_is_taken_only_where_it_is_clearly_better() -> None:
    assert calibrate(*drawn(2000, 5, slope=0.5), [1]).method == "temperature"
    assert calibrate(*drawn(2000, 5, slope=1.0, offset=-2.0), [1]).method == "platt"
    logits, _ = drawn(4000, 6)
    odds = room.positive_score(logits, [1])
    steps = np.select([odds < -2, odds < 2], [0.3, 0.35], 0.9)
    targets = (np.random.default_rng(7).random(4000) < steps).astype(np.int64)
    assert calibrate(logits, targets, [1]).method == "isotonic"
    assert calibrate(logits[:900], targets[:900], [1]).method != "isotonic"  # too few films for isotonic regression


def test_figures_agree_with_scikit_learn_and_are_of_films_left_out() -> None:
    logits, targets = three_classes(900, 8, temperature=2.0)
    found = calibrate(logits, targets, [1, 2])
    raw, positive = softmax(logits, axis=1), np.isin(targets, [1, 2])
    chance = raw[:, 1:].sum(1)
    assert found.figures["films"] == 900
    assert found.figures["log_loss_before"] == pytest.approx(log_loss(targets, raw))
    assert found.figures["brier_before"] == pytest.approx(brier_score_loss(positive, chance))
    share, given_ = calibration_curve(positive, chance, n_bins=15)
    films = np.histogram(chance, 15, (0, 1))[0]
    error = (np.abs(share - given_) * films[films > 0]).sum() / 900
    assert found.figures["ece_before"] == pytest.approx(error)
    fitted_on_all = apply(found, logits, [1, 2])
    assert found.figures["log_loss_after"] > log_loss(targets, fitted_on_all)
    assert found.figures["log_loss_after"] < found.figures["log_loss_before"]


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), size=st.floats(0.01, 300), way=st.sampled_from(["temperature", "platt", "iso"]))
def test_probabilities_are_probabilities_and_keep_shares_within_groups(seed: int, size: float, way: str) -> None:
    logits = np.random.default_rng(seed).normal(0, size, (20, 4))
    x, y = {"temperature": ([], []), "platt": ([0.7, -0.3], []), "iso": ([0.1, 0.6, 0.9], [0.05, 0.4, 0.99])}[way]
    method = "isotonic" if way == "iso" else way
    found = apply(Calibration(method, 1.7 if way == "temperature" else 1.0, x, y, {}), logits, [1, 3])  # type: ignore[arg-type]
    np.testing.assert_allclose(found.sum(1), 1, rtol=1e-12)
    assert (found >= 0).all()
    if way != "temperature":
        raw = softmax(logits[:, [1, 3]], axis=1)
        np.testing.assert_allclose(found[:, [1, 3]], raw * found[:, [1, 3]].sum(1, keepdims=True), atol=1e-12)


def test_a_perfect_network_does_not_become_certain() -> None:
    targets = np.repeat([0, 1], [30, 70])
    logits = np.where(targets[:, None] == [0, 1], 4.0, -4.0)
    found = apply(calibrate(logits, targets, [1]), logits, [1])
    assert found.max() < 0.995


def test_folds_hold_every_class_evenly() -> None:
    targets = np.repeat([0, 1, 2], [50, 13, 3])
    folds = room.stratified_folds(targets, 1)
    for kind, films in ((0, 50), (1, 13), (2, 3)):
        counts = np.bincount(folds[targets == kind], minlength=5)
        assert counts.sum() == films and np.ptp(counts) <= 1
    np.testing.assert_array_equal(folds, room.stratified_folds(targets, 1))
    assert (folds != room.stratified_folds(targets, 2)).any()


@pytest.mark.parametrize(("positives", "negatives"), [(19, 500), (500, 19), (0, 40), (40, 0)])
def test_too_small_a_validation_set_is_refused_with_the_count_needed(positives: int, negatives: int) -> None:
    targets = np.repeat([1, 0], [positives, negatives])
    scores = np.linspace(0, 1, len(targets))
    needed = f"{positives} positive and {negatives} negative .* at least 20 of each"
    with pytest.raises(BundleError, match=needed):
        operating_points(scores, targets == 1)
    with pytest.raises(BundleError, match=needed):
        calibrate(np.stack([-scores, scores], 1), targets, [1])


def test_operating_points_keep_their_rules_on_roc_of_scikit_learn() -> None:
    logits, targets = drawn(600, 9)
    scores = softmax(logits, axis=1)[:, 1]
    false, true, _ = roc_curve(targets, scores, drop_intermediate=False)
    points = {point.name: point for point in operating_points(scores, targets == 1)}
    assert list(points) == ["balanced", "sensitive", "specific"]
    balanced, sensitive, specific = points.values()
    assert balanced.sensitivity + balanced.specificity == pytest.approx(1 + (true - false).max())
    assert sensitive.sensitivity >= 0.95 and sensitive.specificity == pytest.approx(1 - false[true >= 0.95].min())
    assert specific.specificity >= 0.95 and specific.sensitivity == pytest.approx(true[false <= 0.05].max())
    for point in points.values():
        called = scores >= point.threshold
        assert point.sensitivity == pytest.approx(called[targets == 1].mean())
        assert point.specificity == pytest.approx(1 - called[targets == 0].mean())


@settings(max_examples=100, deadline=None)
@given(
    scores=st.lists(st.sampled_from([0.0, 0.05, 0.3, 0.31, 0.5, 0.9, 1.0]), min_size=45, max_size=80),
    seed=st.integers(0, 1000),
)
def test_operating_points_by_brute_force_with_ties(scores: list[float], seed: int) -> None:
    given_ = np.array(scores)
    truth = np.random.default_rng(seed).permutation(np.arange(len(given_)) % 2 == 0)
    if len(set(scores)) == 1:
        with pytest.raises(BundleError, match="the same probability"):
            operating_points(given_, truth)
        return
    candidates = [((given_[truth] >= cut).mean(), (given_[~truth] < cut).mean()) for cut in [*sorted(set(scores)), 2.0]]
    balanced, sensitive, specific = operating_points(given_, truth)
    assert balanced.sensitivity + balanced.specificity == pytest.approx(max(map(sum, candidates)))
    best = max((spec, sens) for sens, spec in candidates if sens >= 0.95 - 1e-12)
    assert (sensitive.specificity, sensitive.sensitivity) == pytest.approx(best)
    best = max((sens, spec) for sens, spec in candidates if spec >= 0.95 - 1e-12)
    assert (specific.sensitivity, specific.specificity) == pytest.approx(best)
    for point in (balanced, sensitive, specific):
        assert (given_[truth] >= point.threshold).mean() == pytest.approx(point.sensitivity)
        assert (given_[~truth] < point.threshold).mean() == pytest.approx(point.specificity)


def test_one_film_of_twenty_may_be_missed() -> None:
    truth = np.repeat([True, False], 20)
    scores = np.concatenate([[0.1], np.linspace(0.6, 0.9, 19), np.linspace(0.2, 0.4, 20)])
    sensitive = operating_points(scores, truth)[1]
    assert (sensitive.sensitivity, sensitive.specificity) == (0.95, 1.0)


def test_thresholds_lie_half_way_in_the_widest_gap_and_bear_noise() -> None:
    truth = np.repeat([False, True], 25)
    scores = np.concatenate([np.linspace(0.1, 0.2, 25), np.linspace(0.8, 0.9, 25)])
    for point in operating_points(scores, truth):
        assert point.threshold == pytest.approx(0.5)
    # Scores that differ only by what another machine's arithmetic changes are never told apart.
    shaky = np.sort(np.concatenate([scores, scores + 2e-7]))
    for point in operating_points(shaky, np.repeat(truth, 2)):
        assert np.abs(shaky - point.threshold).min() > 4e-7


def test_a_network_that_says_the_same_of_all_films_is_refused() -> None:
    with pytest.raises(BundleError, match="all 50 films the same probability"):
        operating_points(np.full(50, 0.4), np.arange(50) < 25)
