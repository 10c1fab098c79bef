"""All that is stated of a set of boxes, each with its interval over patients."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.bootstrap import USUAL, Resampling, auroc_measure, bootstrap, with_interval
from hilum.measures.boxes import coco, froc
from hilum.measures.boxes.overlap import Detections, match
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores, rsna_measure
from hilum.measures.figure import Figure, Floats
from hilum.measures.films.binary import ONE_CLASS

NO_BOX = "no film has a true box"


def box_figures(
    truths: Sequence[Floats],
    found: Sequence[Detections],
    patients: ArrayLike,
    resampling: Resampling = USUAL,
    score_threshold: float = -np.inf,
) -> dict[str, Figure]:
    """The challenge's score, COCO's mAP, FROC, and the AUROC of a film's highest score for having a true box.

    Only films whose boxes are known, with an empty array where there are none. The challenge's score, the share of true
    boxes found and the false boxes a film are of predictions of at least the threshold, all others of all predictions.
    """
    found = [coco.most_confident(detections) for detections in found]
    opaque = np.array([len(boxes) > 0 for boxes in truths])
    highest = np.array([detections.scores.max(initial=0) for detections in found])
    at_coco, at_froc = match(truths, found, coco.OVERLAPS), match(truths, found, (froc.OVERLAP,))
    precision = coco.coco_precision(truths, found)
    sensitivity, false_boxes = froc.threshold_measures(at_froc, score_threshold)
    measures = {
        "rsna_score": rsna_measure(film_scores(match(truths, found, OVERLAPS), score_threshold)),
        "sensitivity": sensitivity,
        "false_boxes": false_boxes,
        "map_50": coco.precision_measure(at_coco, slice(1)),
        "map_50_95": coco.precision_measure(at_coco, slice(None)),
        **{f"sensitivity_at_{rate:g}": froc.sensitivity_measure(at_froc, rate) for rate in froc.RATES},
        "auroc_of_scores": auroc_measure(highest, opaque),
    }
    all_films = np.ones((1, len(truths)))
    # The mean average precisions themselves are those of the library that everyone compares with; only their intervals
    # come from the measures under weights.
    values = {name: float(measure(all_films)[0]) for name, measure in measures.items()}
    values |= {"map_50": precision.at_50, "map_50_95": precision.at_50_to_95}
    drawn = bootstrap(patients, list(measures.values()), resampling)
    reasons = {"rsna_score": "no film has a true or a predicted box", "auroc_of_scores": ONE_CLASS}
    return {
        name: with_interval(value, resampled, reasons.get(name, NO_BOX))
        for (name, value), resampled in zip(values.items(), drawn.T, strict=True)
    }
