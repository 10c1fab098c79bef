"""Everything that is measured on the boxes of a Judgement: those that a detector drew beside those that are true."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hilum.evaluation.judge import Judgement
from hilum.measures.bootstrap import Resampling
from hilum.measures.boxes import coco, froc
from hilum.measures.boxes.figures import box_figures
from hilum.measures.boxes.overlap import Detections, above, match
from hilum.measures.figure import Figure, Floats, Ints

OVERLAPS = (0.4, 0.5, 0.6, 0.75)  # of the precision-recall curves; FROC's is among them


@dataclass(frozen=True, slots=True, eq=False)
class BoxEvaluation:
    """Of the films whose boxes are known: `rows` are their places in the Judgement, `without` counts the others.

    `threshold` is the score from which on the bundle shows a box, fixed on validation. `curves` and
    `average_precision` are by overlap.
    """

    threshold: float
    rows: Ints
    without: int
    truths: list[Floats]
    found: list[Detections]
    figures: dict[str, Figure]
    curves: dict[float, froc.FrocCurve]
    average_precision: dict[float, float]

    @property
    def counts(self) -> dict[str, int]:
        """Of how many films and boxes the figures are."""
        shown = [above(found, self.threshold) for found in self.found]
        return {
            "films": len(self.truths),
            "films_with_true_boxes": sum(len(boxes) > 0 for boxes in self.truths),
            "films_without_known_boxes": self.without,
            "true_boxes": sum(map(len, self.truths)),
            "true_boxes_found": int(match(self.truths, shown, (froc.OVERLAP,)).hit.sum()),
            "predicted_boxes": sum(len(found.scores) for found in shown),
            "predicted_boxes_of_any_score": sum(len(found.scores) for found in self.found),
        }


def measure_boxes(judgement: Judgement, resampling: Resampling) -> BoxEvaluation | None:
    """None where no boxes were drawn, or none are known to compare them with."""
    card = judgement.card.boxes
    every = [judgement.true_boxes(row) for row in range(len(judgement.predictions))]
    truths = [boxes for boxes in every if boxes is not None]
    if card is None or judgement.found is None or not truths:
        return None
    rows = np.array([row for row, boxes in enumerate(every) if boxes is not None], np.int64)
    found = [judgement.found[row] for row in rows]
    patients = judgement.predictions.patients[rows]
    matches = match(truths, found, OVERLAPS)
    once = np.ones((1, len(truths)))
    return BoxEvaluation(
        threshold=card.threshold,
        rows=rows,
        without=len(every) - len(truths),
        truths=truths,
        found=found,
        figures=box_figures(truths, found, patients, resampling, card.threshold),
        curves={overlap: froc.froc_curve(matches, column) for column, overlap in enumerate(OVERLAPS)},
        average_precision={
            overlap: float(coco.precision_measure(matches, slice(column, column + 1))(once)[0])
            for column, overlap in enumerate(OVERLAPS)
        },
    )
