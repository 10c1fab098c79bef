"""Boxes on films: how far they overlap, which of them say the same, and which true boxes a set of them finds.

A box is x, y, width, height, in fractions of its film or in its pixels: overlap is the same in both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.measures.figure import Floats

# An overlap of exactly the threshold is no hit, whichever way the fractions of a film were rounded.
ROUNDING = 1e-9


class Detections(NamedTuple):
    """What was predicted on one film."""

    boxes: Floats  # (n, 4)
    scores: Floats  # (n,)


@dataclass(frozen=True, slots=True)
class Matches:
    """All predictions on a set of films, and whether each found a true box; in a film the most confident comes first.

    A prediction's hits do not depend on less confident ones, so one matching serves every score threshold.
    """

    film: NDArray[np.intp]  # (n,), the film's place in the set
    score: Floats  # (n,)
    hit: NDArray[np.bool_]  # (n, overlaps that were asked for)
    true: NDArray[np.intp]  # (films,), how many true boxes each has


def overlap(one: Floats, other: Floats) -> Floats:
    """Intersection over union of boxes (..., 4), by NumPy's broadcasting; 0 where a box has no area."""
    corner = np.maximum(one[..., :2], other[..., :2])
    sides = np.minimum(one[..., :2] + one[..., 2:], other[..., :2] + other[..., 2:]) - corner
    shared = np.prod(np.maximum(sides, 0), axis=-1)
    union = np.prod(one[..., 2:], axis=-1) + np.prod(other[..., 2:], axis=-1) - shared
    share: Floats = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return share


def iou(one: Floats, other: Floats) -> Floats:
    """Intersection over union of each of n boxes with each of m, as (n, m)."""
    return overlap(one[:, None], other[None])


def suppress(found: Detections, limit: float) -> Detections:
    """Non-maximum suppression: of boxes that overlap by more than `limit` the most confident one stays."""
    order = np.argsort(-found.scores, kind="stable")
    boxes = found.boxes[order]
    close = iou(boxes, boxes) > limit
    alive = np.ones(len(order), bool)
    for place in range(len(order)):
        if alive[place]:
            alive[place + 1 :] &= ~close[place, place + 1 :]
    return Detections(boxes[alive], found.scores[order][alive])


def shrink(found: Detections, factor: float) -> Detections:
    """Sides multiplied by `factor` about each box's center."""
    position, sides = found.boxes[:, :2], found.boxes[:, 2:]
    return Detections(np.hstack([position + sides * (1 - factor) / 2, sides * factor]), found.scores)


def above(found: Detections, score: float) -> Detections:
    """The predictions of at least this score."""
    kept = found.scores >= score
    return Detections(found.boxes[kept], found.scores[kept])


def match(truths: Sequence[Floats], found: Sequence[Detections], overlaps: Sequence[float]) -> Matches:
    """Greedy matching by confidence, for each of the overlaps by itself.

    In a film the most confident prediction comes first, of equal ones the first in the list. It takes the true box
    that it overlaps most among those not taken yet, if the overlap is above the threshold; a second prediction of a
    true box is a false one.
    """
    counts = np.array([len(detections.scores) for detections in found], np.intp)
    true = np.array([len(boxes) for boxes in truths], np.intp)
    film = np.repeat(np.arange(len(found)), counts)
    score = np.concatenate([np.empty(0), *(detections.scores for detections in found)])
    boxes = np.concatenate([np.empty((0, 4)), *(detections.boxes for detections in found)])
    order = np.lexsort((-score, film))
    score, boxes = score[order], boxes[order]

    padded = np.zeros((len(truths), max(true, default=0), 4))
    free = np.zeros((*padded.shape[:2], len(overlaps)), bool)
    for place, known in enumerate(truths):
        padded[place, : len(known)] = known
        free[place, : len(known)] = True
    limits = np.asarray(overlaps) + ROUNDING
    columns = np.arange(len(overlaps))
    hit = np.zeros((len(film), len(overlaps)), bool)
    # One step a rank: the first predictions of all films, then the second ones. Films without true boxes hit nothing.
    rank = np.arange(len(film)) - (np.cumsum(counts) - counts)[film]
    by_rank = np.argsort(rank, kind="stable")
    by_rank = by_rank[true[film[by_rank]] > 0]
    ranks = np.split(by_rank, np.flatnonzero(np.diff(rank[by_rank])) + 1) if by_rank.size else []
    for rows in ranks:
        here = film[rows]
        reached = overlap(boxes[rows, None], padded[here])[..., None]
        reached = np.where(free[here] & (reached > limits), reached, 0)
        best = reached.argmax(axis=1)
        hit[rows] = reached.max(axis=1) > 0
        free[here[:, None], best, columns] &= ~hit[rows]
    return Matches(film, score, hit, true)
