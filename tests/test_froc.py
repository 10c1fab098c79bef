"""FROC and COCO's precision: equal to versions written from their definitions, weighted as if films were repeated."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from sklearn.metrics import roc_auc_score

from hilum.measures.bootstrap import Resampling
from hilum.measures.boxes import coco, froc
from hilum.measures.boxes.figures import box_figures
from hilum.measures.boxes.overlap import Detections, above, match

Boxes = NDArray[np.float64]
Set = tuple[list[Boxes], list[Detections]]
SCORES = [0.1, 0.3, 0.5, 0.7, 0.9]
# Places on a line, one box wide: a prediction finds a true box if it is at the same place, and no other.
places = st.lists(st.integers(0, 4), max_size=5, unique=True)


def at(columns: list[int]) -> Boxes:
    return np.array([[float(column), 0.0, 1.0, 1.0] for column in columns]).reshape(-1, 4)


@st.composite
def sets(draw: st.DrawFn) -> Set:
    count = draw(st.integers(1, 5))
    found = []
    for _ in range(count):
        columns = draw(st.lists(st.integers(0, 5), max_size=5))
        scores = draw(st.lists(st.sampled_from(SCORES), min_size=len(columns), max_size=len(columns)))
        found.append(Detections(at(columns), np.array(scores, np.float64)))
    return [at(draw(places)) for _ in range(count)], found


def counts_at(threshold: float, truths: list[Boxes], found: list[Detections]) -> tuple[int, int]:
    """True boxes found and false boxes drawn by all predictions of at least this score."""
    hits = false = 0
    for true, predicted in zip(truths, found, strict=True):
        drawn = [box[0] for box, score in zip(predicted.boxes, predicted.scores, strict=True) if score >= threshold]
        there = {box[0] for box in true}
        hits += len(there & set(drawn))
        false += len(drawn) - len(there & set(drawn))
    return hits, false


def sensitivity_by_definition(truths: list[Boxes], found: list[Detections], rate: float) -> float:
    true = sum(map(len, truths))
    if not true:
        return math.nan
    counts = [counts_at(threshold, truths, found) for threshold in (*SCORES, 1.0)]
    return max(hits for hits, false in counts if false <= rate * len(truths)) / true


def repeat(drawn: Set, times: list[int]) -> Set:
    truths = [true for true, count in zip(drawn[0], times, strict=False) for _ in range(count)]
    return truths, [one for one, count in zip(drawn[1], times, strict=False) for _ in range(count)]


@given(sets(), st.sampled_from([0.25, 0.5, 1.0, 2.0]), st.lists(st.integers(0, 2), min_size=5, max_size=5))
def test_sensitivity_at_a_rate(drawn: Set, rate: float, times: list[int]) -> None:
    measure = froc.sensitivity_measure(match(*drawn, (froc.OVERLAP,)), rate)
    once, weighted = measure(np.array([[1.0] * len(drawn[0]), times[: len(drawn[0])]]))
    assert once == pytest.approx(sensitivity_by_definition(*drawn, rate), nan_ok=True)
    assert weighted == pytest.approx(sensitivity_by_definition(*repeat(drawn, times), rate), nan_ok=True)


@given(
    sets(), st.sampled_from([*SCORES, 0.4, -math.inf]), st.lists(st.integers(0, 2), min_size=5, max_size=5).filter(any)
)
def test_what_a_threshold_finds_and_draws(drawn: Set, threshold: float, times: list[int]) -> None:
    weights = np.array([[1.0] * len(drawn[0]), times[: len(drawn[0])]])
    measures = froc.threshold_measures(match(*drawn, (froc.OVERLAP,)), threshold)
    for weight, (truths, found) in zip(weights, (drawn, repeat(drawn, times)), strict=True):
        hits, false = counts_at(threshold, truths, found)
        sensitivity, false_boxes = (float(measure(weight[None])[0]) for measure in measures)
        true = sum(map(len, truths))
        assert sensitivity == pytest.approx(hits / true if true else math.nan, nan_ok=True)
        assert false_boxes == pytest.approx(false / len(truths) if truths else math.nan, nan_ok=True)


@given(sets())
def test_the_curve_has_a_point_a_score(drawn: Set) -> None:
    curve = froc.froc_curve(match(*drawn, (froc.OVERLAP,)))
    assert curve.thresholds.tolist() == sorted({float(s) for one in drawn[1] for s in one.scores}, reverse=True)
    true = sum(map(len, drawn[0]))
    for threshold, false, sensitivity, precision in zip(*curve, strict=True):
        hits, wrong = counts_at(threshold, *drawn)
        assert false == pytest.approx(wrong / len(drawn[0]))
        assert precision == pytest.approx(hits / (hits + wrong))
        assert sensitivity == pytest.approx(hits / true if true else math.nan, nan_ok=True)


def precision_by_definition(truths: list[Boxes], found: list[Detections]) -> float:
    """At one overlap: the mean, over 101 recalls, of the best precision at that recall or a higher one."""
    true = sum(map(len, truths))
    ranked = sorted(
        (
            (score, film, box[0])
            for film, one in enumerate(found)
            for box, score in zip(one.boxes, one.scores, strict=True)
        ),
        key=lambda row: -row[0],
    )
    taken: set[tuple[int, float]] = set()
    points = []
    for rank, (_, film, column) in enumerate(ranked, start=1):
        if column in truths[film][:, 0]:
            taken.add((film, column))
        points.append((len(taken) / true, len(taken) / rank))
    return (
        sum(
            max((precision for recall, precision in points if recall >= wanted), default=0.0)
            for wanted in np.linspace(0, 1, 101)
        )
        / 101
    )


@given(sets().filter(lambda drawn: any(len(true) for true in drawn[0])))
def test_average_precision(drawn: Set) -> None:
    # At overlaps of 1 or 0 every threshold gives the same.
    expected = precision_by_definition(*drawn)
    assert coco.coco_precision(*drawn) == pytest.approx((expected, expected))
    measure = coco.precision_measure(match(*drawn, coco.OVERLAPS), slice(None))
    assert measure(np.ones((1, len(drawn[0]))))[0] == pytest.approx(expected)


def blurred(seed: int, films: int = 40) -> Set:
    """True boxes, and predictions that miss them by more or less, with some false ones."""
    random = np.random.default_rng(seed)
    truths, found = [], []
    for film in range(films):
        true = random.uniform(0.1, 0.5, (film % 3, 4))
        near = np.repeat(true, 2, axis=0) + random.normal(0, 0.02, (2 * len(true), 4))
        drawn = np.vstack([near, random.uniform(0.1, 0.4, (film % 4, 4))])
        truths.append(true)
        found.append(Detections(drawn, random.uniform(0, 1, len(drawn))))
    return truths, found


def test_the_measure_of_intervals_is_faster_coco_evals_figure() -> None:
    drawn = blurred(3)
    at_coco, once = match(*drawn, coco.OVERLAPS), np.ones((1, len(drawn[0])))
    expected = coco.coco_precision(*drawn)
    assert 0.2 < expected.at_50_to_95 < expected.at_50 < 0.9
    assert coco.precision_measure(at_coco, slice(1))(once)[0] == pytest.approx(expected.at_50)
    assert coco.precision_measure(at_coco, slice(None))(once)[0] == pytest.approx(expected.at_50_to_95)


def test_weights_of_precision_are_repeated_films() -> None:
    drawn, times = blurred(4), np.random.default_rng(4).integers(0, 3, 40).tolist()
    weighted = coco.precision_measure(match(*drawn, coco.OVERLAPS), slice(1))(np.array([times], np.float64))[0]
    # A film's copies have equal scores, whose order a ranking must choose: not quite the same.
    assert weighted == pytest.approx(coco.coco_precision(*repeat(drawn, times)).at_50, abs=0.02)


def test_only_the_hundred_most_confident_count() -> None:
    true, false = at([0]), at([5] * 100)
    found = Detections(np.vstack([false, true]), np.array([0.9] * 100 + [0.1]))
    assert coco.coco_precision([true], [found]).at_50 == 0
    assert box_figures([true], [found], ["a"], Resampling(5))["sensitivity_at_2"].value == 0


def test_all_figures_of_a_set_lie_within_their_intervals() -> None:
    truths, found = blurred(5, films=60)
    figures = box_figures(truths, found, [film // 2 for film in range(60)], Resampling(200), score_threshold=0.3)
    assert list(figures) == [
        "rsna_score",
        "sensitivity",
        "false_boxes",
        "map_50",
        "map_50_95",
        "sensitivity_at_0.25",
        "sensitivity_at_0.5",
        "sensitivity_at_1",
        "sensitivity_at_2",
        "auroc_of_scores",
    ]
    for figure in figures.values():
        assert figure.value is not None and figure.low is not None and figure.high is not None
        assert figure.low < figure.value < figure.high
    highest = [one.scores.max(initial=0) for one in found]
    assert figures["auroc_of_scores"].value == pytest.approx(roc_auc_score([len(t) > 0 for t in truths], highest))


def test_the_threshold_cuts_what_it_should_and_nothing_else() -> None:
    truths, found = blurred(6)
    cut = [above(one, 0.4) for one in found]
    figures = box_figures(truths, found, range(40), Resampling(5), score_threshold=0.4)
    whole, of_cut = (box_figures(truths, part, range(40), Resampling(5)) for part in (found, cut))
    at_threshold = ("rsna_score", "sensitivity", "false_boxes")
    assert all(figures[name] == (of_cut if name in at_threshold else whole)[name] for name in figures)
    assert all(of_cut[name] != whole[name] for name in (*at_threshold, "map_50"))


def test_what_is_not_defined_says_why() -> None:
    figures = box_figures([at([]), at([])], [Detections(at([]), np.empty(0))] * 2, ["a", "b"], Resampling(10))
    assert {name: str(figure) for name, figure in figures.items() if figure.value is None} == {
        "rsna_score": "none: no film has a true or a predicted box",
        "sensitivity": "none: no film has a true box",
        "map_50": "none: no film has a true box",
        "map_50_95": "none: no film has a true box",
        **{f"sensitivity_at_{rate:g}": "none: no film has a true box" for rate in froc.RATES},
        "auroc_of_scores": "none: all films are of one class",
    }
