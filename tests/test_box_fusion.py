"""Weighted box fusion: equal to a version written step by step from the paper, and to the authors' package."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hilum.measures.boxes.fusion import OVERLAP, fuse, mirror
from hilum.measures.boxes.overlap import Detections, iou

Rows = list[tuple[list[float], float]]


def detections(rows: Rows) -> Detections:
    boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
    return Detections(boxes, np.array([score for _, score in rows], np.float64))


def fuse_by_the_paper(opinions: list[Rows], trust: list[float]) -> Rows:
    ranked = sorted(
        ((box, score * weight) for rows, weight in zip(opinions, trust, strict=True) for box, score in rows),
        key=lambda row: -row[1],
    )
    groups: list[Rows] = []

    def fused(group: Rows) -> list[float]:
        total = sum(score for _, score in group)
        return [sum(box[side] * score for box, score in group) / total for side in range(4)]

    for box, score in ranked:
        reached = [float(iou(np.array([fused(group)]), np.array([box]))[0, 0]) for group in groups]
        if reached and max(reached) > OVERLAP:
            groups[reached.index(max(reached))].append((box, score))
        else:
            groups.append([(box, score)])
    result = [
        (fused(group), sum(score for _, score in group) / len(group) * min(len(group), len(opinions)) / sum(trust))
        for group in groups
    ]
    return sorted(result, key=lambda row: -row[1])


def drawn_opinions(seed: int, count: int) -> list[Rows]:
    """Three places on a film; each opinion sees most of them, not quite alike, and sometimes twice."""
    random = np.random.default_rng(seed)
    places = random.uniform([0.1, 0.1, 0.2, 0.2], [0.5, 0.5, 0.4, 0.4], (3, 4))
    opinions = []
    for _ in range(count):
        seen = np.repeat(places, random.integers(0, 3, 3), axis=0)
        boxes = seen + random.normal(0, 0.02, seen.shape)
        opinions.append([(box.tolist(), float(random.uniform(0.05, 1))) for box in boxes])
    return opinions


seeds = st.integers(0, 10_000)


@given(seeds, st.integers(1, 5), st.booleans())
def test_it_is_the_paper(seed: int, count: int, weighted: bool) -> None:
    opinions = drawn_opinions(seed, count)
    trust = np.random.default_rng(seed).uniform(0.5, 2, count).tolist() if weighted else [1.0] * count
    fused = fuse([detections(rows) for rows in opinions], weights=trust if weighted else None)
    expected = detections(fuse_by_the_paper(opinions, trust))
    np.testing.assert_allclose(fused.scores, expected.scores, rtol=1e-9)
    np.testing.assert_allclose(fused.boxes, expected.boxes, rtol=1e-9)


def test_it_is_the_authors_package() -> None:
    package = pytest.importorskip("ensemble_boxes", reason="pip install ensemble-boxes compares with it")
    for seed in range(40):
        opinions = drawn_opinions(seed, 1 + seed % 4)
        trust = [1.0, 2.0, 0.5, 1.5][: len(opinions)]
        boxes, scores, _ = package.weighted_boxes_fusion(
            [[[x, y, x + w, y + h] for (x, y, w, h), _ in rows] for rows in opinions],
            [[score for _, score in rows] for rows in opinions],
            [[0] * len(rows) for rows in opinions],
            weights=trust,
            iou_thr=OVERLAP,
        )
        fused = fuse([detections(rows) for rows in opinions], weights=trust)
        corners = np.hstack([fused.boxes[:, :2], fused.boxes[:, :2] + fused.boxes[:, 2:]])
        np.testing.assert_allclose(fused.scores, scores, atol=1e-6)
        np.testing.assert_allclose(corners, boxes, atol=1e-6)


@given(seeds)
def test_one_opinion_twice_is_that_opinion(seed: int) -> None:
    far_apart: Rows = [([0.05, 0.1, 0.2, 0.3], 0.9), ([0.6, 0.4, 0.3, 0.2], 0.4)]
    random = np.random.default_rng(seed)
    rows = [far_apart[place] for place in random.permutation(2)]
    fused = fuse([detections(rows), detections(far_apart)])
    np.testing.assert_allclose(fused.boxes, detections(far_apart).boxes)
    np.testing.assert_allclose(fused.scores, [0.9, 0.4])


def test_a_box_that_one_of_two_saw_counts_half() -> None:
    fused = fuse([detections([([0.1, 0.1, 0.2, 0.2], 0.8)]), detections([])])
    assert fused.boxes.tolist() == [[0.1, 0.1, 0.2, 0.2]]
    assert fused.scores.tolist() == [pytest.approx(0.4)]


def test_boxes_without_confidence_are_none() -> None:
    assert len(fuse([detections([([0.1, 0.1, 0.2, 0.2], 0.0)])]).scores) == 0
    assert fuse([detections([]), detections([])]).boxes.shape == (0, 4)


def test_the_mirror_image_of_a_mirror_image_is_the_film() -> None:
    seen = detections([([0.1, 0.2, 0.3, 0.4], 0.9)])
    assert mirror(seen).boxes.tolist() == [[pytest.approx(0.6), 0.2, 0.3, 0.4]]
    np.testing.assert_allclose(mirror(mirror(seen)).boxes, seen.boxes)
