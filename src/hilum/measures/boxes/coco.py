"""COCO's mean average precision of the one class that hilum draws boxes for.

The figure is that of faster-coco-eval. It cannot weigh films, so intervals come from average precision under weights,
which tests hold equal to it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hilum.measures.bootstrap import Measure, Weights, few_at_a_time
from hilum.measures.boxes.overlap import Detections, Matches
from hilum.measures.figure import Floats

OVERLAPS = (0.50, 0.55, 0.60, 0.65, 0.70, 0.75, 0.80, 0.85, 0.90, 0.95)
MOST = 100  # predictions a film
RECALLS = np.linspace(0, 1, 101)


class CocoPrecision(NamedTuple):
    """Average precision at an overlap of 0.5, and its mean over 0.50, 0.55 ... 0.95; NaN where no box is true."""

    at_50: float
    at_50_to_95: float


def coco_precision(truths: Sequence[Floats], found: Sequence[Detections]) -> CocoPrecision:
    """Average precision by COCO's rules: 101 points of recall, the 100 most confident predictions a film."""
    from faster_coco_eval import COCO, COCOeval_faster

    if not any(len(boxes) for boxes in truths):
        return CocoPrecision(float("nan"), float("nan"))
    boxes = [(film, box) for film, boxes in enumerate(truths) for box in boxes.tolist()]
    known = COCO(
        {
            "images": [{"id": film} for film in range(len(truths))],
            "categories": [{"id": 1, "name": "opacity"}],
            "annotations": [
                {"id": number, "image_id": film, "category_id": 1, "bbox": box, "area": box[2] * box[3], "iscrowd": 0}
                for number, (film, box) in enumerate(boxes, start=1)
            ],
        }
    )
    predicted = known.loadRes(
        [
            {"image_id": film, "category_id": 1, "bbox": box, "score": score}
            for film, detections in enumerate(found)
            for box, score in zip(detections.boxes.tolist(), detections.scores.tolist(), strict=True)
        ]
    )
    judged = COCOeval_faster(known, predicted, "bbox", print_function=lambda *_: None, separate_eval=True)
    judged.evaluate()
    judged.accumulate()
    # overlap x recall x class x size of box (the first: all) x most predictions a film (the last: 100)
    precision = judged.eval["precision"][:, :, 0, 0, -1]
    return CocoPrecision(float(precision[0].mean()), float(precision.mean()))


def most_confident(found: Detections) -> Detections:
    """All that COCO's rules look at."""
    order = np.argsort(-found.scores, kind="stable")[:MOST]
    return Detections(found.boxes[order], found.scores[order])


def precision_measure(matches: Matches, columns: slice) -> Measure:
    """Average precision under weights, and its mean over those overlaps of the matching."""
    order = np.argsort(-matches.score, kind="stable")
    film, true = matches.film[order], matches.true.astype(np.float64)
    hits = [np.flatnonzero(hit) for hit in matches.hit[order, columns].T]

    def measure(weights: Weights) -> Floats:
        total = weights @ true
        counted = weights[:, film]
        called = np.maximum(np.cumsum(counted, axis=1), 1)
        mean = np.zeros(len(weights))
        for hit in hits:  # recall rises and precision peaks nowhere else
            found = np.cumsum(counted[:, hit], axis=1)
            # The best precision at this recall or any higher one, 0 where the recall is never reached.
            best = np.maximum.accumulate((found / called[:, hit])[:, ::-1], axis=1)[:, ::-1]
            best = np.pad(best, ((0, 0), (0, 1)))
            for row, recall in enumerate(found / np.maximum(total, 1)[:, None]):
                mean[row] += best[row, np.searchsorted(recall, RECALLS)].mean() / len(hits)
        return np.where(total > 0, mean, np.nan)

    return few_at_a_time(measure, len(film))
