"""Several opinions on one film become one: weighted box fusion (Solovyev, Wang, Gabruseva, 2021).

For the predictions of several checkpoints, of the networks of several folds, and of a film and its mirror image.
Written by hand: the authors' package brings numba and pandas for these few lines, and is the reference in our tests.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hilum.measures.boxes.overlap import Detections, overlap

OVERLAP = 0.55  # the authors' own


def fuse(
    opinions: Sequence[Detections], *, limit: float = OVERLAP, weights: Sequence[float] | None = None
) -> Detections:
    """The fused boxes of a film, the most confident first.

    Boxes are taken in the order of their confidence. Each joins the group whose fused box it overlaps most, if by more
    than `limit`, else it begins a group. A group's box is the mean of its boxes weighted by confidence; its confidence
    is their mean, less in proportion where not all of the opinions have a part in it.
    """
    trust = np.ones(len(opinions)) if weights is None else np.asarray(weights, np.float64)
    boxes = np.concatenate([np.empty((0, 4)), *(opinion.boxes for opinion in opinions)])
    scores = np.concatenate(
        [np.empty(0), *(opinion.scores * part for opinion, part in zip(opinions, trust, strict=True))]
    )
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]  # no confidence, no weight
    fused = np.empty((len(order), 4))
    confidence, members = np.zeros(len(order)), np.zeros(len(order), np.intp)
    groups = 0
    for box, score in zip(boxes[order], scores[order], strict=True):
        reached = overlap(fused[:groups], box)
        joined = int(reached.argmax()) if groups else 0
        if not groups or reached[joined] <= limit:
            joined, groups = groups, groups + 1
            fused[joined] = box
        else:
            fused[joined] += (box - fused[joined]) * score / (confidence[joined] + score)
        confidence[joined] += score
        members[joined] += 1
    fused, confidence, members = fused[:groups], confidence[:groups], members[:groups]
    # One opinion may put several boxes into a group, which must not raise it above what all together could say.
    confidence = confidence / members * np.minimum(members, len(opinions)) / trust.sum()
    best = np.argsort(-confidence, kind="stable")
    return Detections(fused[best], confidence[best])


def mirror(found: Detections) -> Detections:
    """Predictions on a film's mirror image, as boxes of the film itself; in fractions."""
    left = 1 - found.boxes[:, 0] - found.boxes[:, 2]
    return Detections(np.column_stack([left, found.boxes[:, 1:]]), found.scores)
