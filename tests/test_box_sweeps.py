"""Suppression, shrinking and the sweeps over them: torchvision's boxes, and the score of each setting by hand."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torchvision.ops import nms

from hilum.measures.boxes.overlap import Detections, above, shrink, suppress
from hilum.measures.boxes.rsna_score import rsna_score
from hilum.measures.boxes.sweep import Grid, Setting, Swept, choose, draw_sweeps, sweep


def drawn(seed: int, films: int = 8) -> tuple[list[NDArray[np.float64]], list[Detections]]:
    """Films with up to two true boxes; raw predictions are many boxes around them, too large, and a few elsewhere."""
    random = np.random.default_rng(seed)
    truths, raw = [], []
    for film in range(films):
        true = random.uniform([0.1, 0.1, 0.2, 0.2], [0.4, 0.4, 0.3, 0.5], (film % 3, 4))
        near = np.repeat(true, 6, axis=0) + random.normal(0, 0.02, (6 * len(true), 4))
        near = shrink(Detections(near, np.ones(len(near))), 1.2).boxes
        far = random.uniform(0.1, 0.4, (4, 4))
        scores = np.concatenate([random.uniform(0.3, 1, len(near)), random.uniform(0, 0.6, len(far))])
        truths.append(true)
        raw.append(Detections(np.vstack([near, far]), scores))
    return truths, raw


@given(st.integers(0, 10_000), st.integers(0, 60), st.floats(0.0, 1.0))
def test_suppression_is_torchvisions(seed: int, count: int, limit: float) -> None:
    random = np.random.default_rng(seed)
    boxes = random.integers(1, 12, (count, 4)).astype(np.float64)
    scores = random.permutation(count) / max(count, 1)  # no ties: torchvision's order among them is its own
    kept = suppress(Detections(boxes, scores), limit)
    corners = torch.from_numpy(np.hstack([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]]))
    expected = nms(corners, torch.from_numpy(scores), limit).numpy()
    np.testing.assert_array_equal(kept.boxes, boxes[expected])
    np.testing.assert_array_equal(kept.scores, scores[expected])


def test_a_box_shrinks_about_its_center() -> None:
    boxes = np.array([[10.0, 20.0, 40.0, 80.0]])
    assert shrink(Detections(boxes, np.ones(1)), 0.5).boxes.tolist() == [[20.0, 40.0, 20.0, 40.0]]
    np.testing.assert_array_equal(shrink(Detections(boxes, np.ones(1)), 1.0).boxes, boxes)


def test_each_row_is_the_score_of_its_setting() -> None:
    truths, raw = drawn(1)
    axes = (0.2, 0.6), (0.8, 1.0), (0.2, 0.5, 0.8)
    rows = sweep(truths, raw, grid=Grid(*axes))
    assert [row.setting for row in rows] == [Setting(*setting) for setting in product(*axes)]
    for (limit, factor, threshold), score in rows:
        # Suppression first, as in a bundle, where the score threshold comes last.
        found = [above(shrink(suppress(film, limit), factor), threshold) for film in raw]
        assert score == pytest.approx(rsna_score(truths, found))


def test_boxes_drawn_too_large_are_shrunk() -> None:
    chosen = choose({"run": sweep(*drawn(2, films=30))}).setting
    assert chosen.shrinkage == pytest.approx(0.85, abs=0.051)  # they are 1.2 times as wide and high as the true ones
    assert chosen.nms_overlap < 0.6


def test_over_several_folds_the_best_mean_is_chosen() -> None:
    settings = [Setting(0.3, 1.0, threshold) for threshold in (0.1, 0.2, 0.3)]
    folds = {
        "fold 0": [Swept(setting, score) for setting, score in zip(settings, (0.30, 0.24, 0.10), strict=True)],
        "fold 1": [Swept(setting, score) for setting, score in zip(settings, (0.10, 0.22, 0.25), strict=True)],
    }
    both = choose(folds)
    assert both.setting == settings[1] and both.score == pytest.approx(0.23)
    assert choose({"fold 0": folds["fold 0"]}) == Swept(settings[0], 0.30)


def test_the_picture_shows_a_line_a_run_in_each_panel() -> None:
    sweeps = {f"fold {seed}": sweep(*drawn(seed)) for seed in range(2)}
    chosen = choose(sweeps)
    figure = draw_sweeps(sweeps, chosen)
    assert len(figure.axes) == 3
    for axes, name in zip(figure.axes, Setting._fields, strict=True):
        labels = [str(line.get_label()) for line in axes.lines]
        assert [label.split(":")[0] for label in labels] == ["fold 0", "fold 1", "mean", "chosen"]
        mean = axes.lines[2]
        here = list(np.asarray(mean.get_xdata())).index(getattr(chosen.setting, name))
        assert np.asarray(mean.get_ydata())[here] == pytest.approx(chosen.score)


def test_a_prevalence_counts_films_as_if_so_many_had_boxes() -> None:
    """Films doubled and trebled until the share is right have the same scores as weighted ones."""
    random = np.random.default_rng(6)
    truths, raw = [], []
    for film in range(30):
        boxes = random.uniform(0.1, 0.5, (film % 2, 4))
        noise = random.uniform(0.1, 0.5, (3, 4))
        truths.append(boxes)
        raw.append(Detections(np.concatenate([boxes + 0.01, noise]), random.uniform(0, 1, 3 + len(boxes))))
    opaque = [place for place in range(30) if place % 2]
    clear = [place for place in range(30) if not place % 2]
    places = opaque + 4 * clear  # a fifth has boxes
    repeated = sweep([truths[place] for place in places], [raw[place] for place in places])
    weighted = sweep(truths, raw, prevalence=0.2)
    assert [row.score for row in weighted] == pytest.approx([row.score for row in repeated])
    assert (
        choose({"one": weighted}).setting.score_threshold >= choose({"one": sweep(truths, raw)}).setting.score_threshold
    )
