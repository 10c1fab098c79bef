"""How far the boxes of two readers agree."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from hilum.measures.bootstrap import USUAL, Measure, Resampling, Weights, bootstrap, shares, with_interval
from hilum.measures.boxes.overlap import iou
from hilum.measures.figure import Figure, Floats, Ints

SAME = 0.5  # intersection over union from which two boxes mean the same opacity


class BoxAgreement(NamedTuple):
    """`same` is the share of all boxes of both that the other drew as well (twice the pairs over the sum of the boxes),
    `overlap` the mean intersection over union of the pairs."""

    films: int  # with a box of either
    same: Figure
    overlap: Figure


def box_agreement(
    first: Sequence[Floats], second: Sequence[Floats], patients: Ints, resampling: Resampling = USUAL
) -> BoxAgreement:
    """Of boxes (n, 4) of two readers on the same films, paired one to one so that they overlap the most."""
    pairs, overlaps, drawn = np.zeros(len(first)), np.zeros(len(first)), np.zeros(len(first))
    for film, (own, other) in enumerate(zip(first, second, strict=True)):
        drawn[film] = len(own) + len(other)
        if len(own) and len(other):
            shared = iou(own, other)
            shared[shared < SAME] = 0
            reached = shared[linear_sum_assignment(shared, maximize=True)]
            pairs[film], overlaps[film] = (reached > 0).sum(), reached.sum()
    measures = [_share(2 * pairs, drawn), _share(overlaps, pairs)]
    resampled = bootstrap(patients, measures, resampling)
    once = [float(measure(np.ones((1, len(drawn))))[0]) for measure in measures]
    none = ("neither drew a box", "no box of one meets a box of the other")
    figures = [with_interval(once[place], resampled[:, place], none[place]) for place in (0, 1)]
    return BoxAgreement(int((drawn > 0).sum()), *figures)


def _share(part: Floats, whole: Floats) -> Measure:
    def measure(weights: Weights) -> Floats:
        return shares(weights @ part, weights @ whole)

    return measure
