"""The challenge's metric: its rule by example, and equal to a version written from the rule alone."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from hilum.measures.boxes.overlap import Detections, iou, match
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores, mean_of_counted, rsna_measure, rsna_score

Boxes = NDArray[np.float64]
LEFT, RIGHT = [100.0, 100.0, 200.0, 300.0], [600.0, 100.0, 200.0, 300.0]


def boxes(*rows: list[float]) -> Boxes:
    return np.array(rows, np.float64).reshape(-1, 4)


def found(*rows: list[float], scores: list[float] | None = None) -> Detections:
    return Detections(boxes(*rows), np.array([0.9] * len(rows) if scores is None else scores, np.float64))


# A coarse grid of boxes, so that they coincide, touch and tie; and overlaps land on thresholds exactly.
sides = st.integers(1, 8).map(float)
box_lists = st.lists(st.tuples(sides, sides, sides, sides).map(list), max_size=5)


@st.composite
def films(draw: st.DrawFn) -> tuple[Boxes, Detections]:
    rows = draw(box_lists)
    scores = draw(st.lists(st.sampled_from([0.1, 0.5, 0.9]), min_size=len(rows), max_size=len(rows)))
    return boxes(*draw(box_lists)), found(*rows, scores=scores)


def area_shared(one: list[float], other: list[float]) -> float:
    """Intersection over union by counting the unit squares that lie in both and in either."""

    def squares(box: list[float]) -> set[tuple[int, int]]:
        x, y, width, height = map(int, box)
        return {(column, row) for column in range(x, x + width) for row in range(y, y + height)}

    return len(squares(one) & squares(other)) / len(squares(one) | squares(other))


def score_by_the_rule(true: Boxes, predicted: Detections) -> float | None:
    if not len(true) and not len(predicted.scores):
        return None
    order = sorted(range(len(predicted.scores)), key=lambda place: -predicted.scores[place])
    total = 0.0
    for hundredths in range(40, 80, 5):
        free = list(range(len(true)))
        hits = 0
        for place in order:
            reached = [(area_shared(predicted.boxes[place].tolist(), true[t].tolist()), -t) for t in free]
            best = max(reached, default=(0.0, 0))
            if best[0] > hundredths / 100 + 1e-9:
                free.remove(-best[1])
                hits += 1
        total += hits / (hits + (len(order) - hits) + (len(true) - hits))
    return total / 8


@given(st.lists(films(), max_size=4))
def test_it_is_the_rule(drawn: list[tuple[Boxes, Detections]]) -> None:
    truths, predicted = [film[0] for film in drawn], [film[1] for film in drawn]
    expected = [score_by_the_rule(*film) for film in drawn]
    scores = film_scores(match(truths, predicted, OVERLAPS))
    assert [None if math.isnan(score) else score for score in scores] == pytest.approx(expected)
    counted = [score for score in expected if score is not None]
    assert rsna_score(truths, predicted) == pytest.approx(
        sum(counted) / len(counted) if counted else math.nan, nan_ok=True
    )


@given(st.lists(films(), max_size=4), st.sampled_from([0.0, 0.1, 0.3, 0.5, 0.9, 1.0]))
def test_one_matching_serves_every_score_threshold(drawn: list[tuple[Boxes, Detections]], threshold: float) -> None:
    truths, predicted = [film[0] for film in drawn], [film[1] for film in drawn]
    cut = [Detections(p.boxes[p.scores >= threshold], p.scores[p.scores >= threshold]) for p in predicted]
    np.testing.assert_array_equal(
        film_scores(match(truths, predicted, OVERLAPS), threshold), film_scores(match(truths, cut, OVERLAPS))
    )


@given(st.lists(films(), min_size=1, max_size=4), st.lists(st.integers(0, 3), min_size=4, max_size=4))
def test_weights_are_repeated_films(drawn: list[tuple[Boxes, Detections]], times: list[int]) -> None:
    repeated = [film for film, count in zip(drawn, times, strict=False) for _ in range(count)]
    scores = film_scores(match([film[0] for film in drawn], [film[1] for film in drawn], OVERLAPS))
    weighted = rsna_measure(scores)(np.array([times[: len(drawn)]], np.float64))[0]
    expected = rsna_score([film[0] for film in repeated], [film[1] for film in repeated])
    assert weighted == pytest.approx(expected, nan_ok=True)


@given(box_lists, box_lists)
def test_overlap_is_the_share_of_squares(some: list[list[float]], others: list[list[float]]) -> None:
    expected = [[area_shared(one, other) for other in others] for one in some]
    assert iou(boxes(*some), boxes(*others)).tolist() == [pytest.approx(row) for row in expected]


def test_perfect_boxes_score_1_and_empty_films_do_not_count() -> None:
    assert rsna_score([boxes(LEFT, RIGHT), boxes()], [found(LEFT, RIGHT), found()]) == 1


def test_a_box_on_a_film_without_any_scores_0() -> None:
    assert rsna_score([boxes(LEFT), boxes()], [found(LEFT), found(RIGHT)]) == 0.5


def test_no_film_that_counts_is_no_score() -> None:
    assert math.isnan(rsna_score([boxes()], [found()]))
    assert math.isnan(rsna_score([], []))
    assert math.isnan(mean_of_counted(np.array([np.nan])))


def test_a_box_of_half_the_width_counts_below_an_overlap_of_one_half_only() -> None:
    # Overlap 0.5 exactly: more than 0.40 and 0.45, and not more than 0.50.
    assert rsna_score([boxes(LEFT)], [found([100.0, 100.0, 100.0, 300.0])]) == pytest.approx(2 / 8)


def test_fractions_score_as_pixels_do_even_at_a_threshold() -> None:
    half, film = found([100.0, 100.0, 100.0, 300.0]), np.array([1024.0, 1187.0, 1024.0, 1187.0])
    fractions = Detections(half.boxes / film, half.scores)
    assert rsna_score([boxes(LEFT) / film], [fractions]) == pytest.approx(2 / 8)


def test_the_more_confident_box_chooses_first() -> None:
    # The vague box overlaps both true ones; where it comes first, it takes the one that the good box needs.
    one, other = [0.0, 0.0, 100.0, 100.0], [40.0, 0.0, 100.0, 100.0]
    vague = [15.0, 0.0, 100.0, 100.0]  # 0.74 with one, 0.60 with other
    truths = [boxes(one, other)]
    first = rsna_score(truths, [found(vague, one, scores=[0.9, 0.8])])
    last = rsna_score(truths, [found(vague, one, scores=[0.8, 0.9])])
    assert first == pytest.approx((1 + 7 * (1 / 3)) / 8)  # what is left overlaps the other by 0.43
    assert last == pytest.approx((4 * 1 + 4 * (1 / 3)) / 8)


def test_many_raw_predictions_are_matched_too() -> None:
    random = np.random.default_rng(1)
    truths = [boxes(LEFT, RIGHT) for _ in range(3)]
    raw = [
        Detections(random.uniform(50, 500, (count, 4)), np.round(random.uniform(0, 1, count), 2))
        for count in (300, 0, 40)
    ]
    expected = [score_by_the_rule_in_pixels(true, predicted) for true, predicted in zip(truths, raw, strict=True)]
    assert film_scores(match(truths, raw, OVERLAPS)).tolist() == pytest.approx(expected)


def test_the_challenges_own_boxes(real_data: Path) -> None:
    """Jittered copies of true boxes and false ones, on 3,000 films."""
    films: dict[str, list[list[float]]] = {}
    with (real_data / "rsna-labels" / "stage_2_train_labels.csv").open() as file:
        for row in csv.DictReader(file):
            box = [float(row[side]) for side in ("x", "y", "width", "height")] if row["x"] else None
            films.setdefault(row["patientId"], []).extend([box] if box else [])
    random = np.random.default_rng(2)
    truths = [boxes(*rows) for _, rows in sorted(films.items())[:3000]]
    predicted = []
    for true in truths:
        near = np.repeat(true, 2, axis=0)
        near = near + random.normal(0, 0.1, near.shape) * np.tile(near[:, 2:], 2)
        far = random.uniform(100, 400, (random.poisson(0.3), 4))
        drawn = np.vstack([near, far])
        predicted.append(Detections(drawn, random.uniform(0, 1, len(drawn))))
    score = rsna_score(truths, predicted)
    some = [pair for pair in zip(truths[:200], predicted[:200], strict=True) if len(pair[0]) or len(pair[1].scores)]
    expected = np.mean([score_by_the_rule_in_pixels(*pair) for pair in some])
    assert rsna_score(truths[:200], predicted[:200]) == pytest.approx(expected)
    assert 0.1 < score < 0.5
    assert rsna_score(truths, [Detections(true, np.ones(len(true))) for true in truths]) == 1


def score_by_the_rule_in_pixels(true: Boxes, predicted: Detections) -> float:
    total = 0.0
    for limit in OVERLAPS:
        free, hits = set(range(len(true))), 0
        for place in np.argsort(-predicted.scores, kind="stable"):
            reached = {t: float(iou(predicted.boxes[[place]], true[[t]])[0, 0]) for t in free}
            best = max(reached, key=lambda t: reached[t], default=None)
            if best is not None and reached[best] > limit:
                free.remove(best)
                hits += 1
        total += hits / (len(predicted.scores) + len(true) - hits)
    return total / len(OVERLAPS)
