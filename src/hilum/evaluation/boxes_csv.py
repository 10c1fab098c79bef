"""boxes.csv: every box that a detector drew, whatever its score, so that box figures can be made anew elsewhere."""

from __future__ import annotations

from pathlib import Path

from hilum.evaluation.judge import Judgement
from hilum.system.rows import write_csv

HEADER = ("path", "x", "y", "width", "height", "score")


def save_boxes(judged: Judgement, path: Path) -> None:
    """One row a box, in fractions of its film; films without any are in predictions.csv alone.

    Places are written to a millionth of the film, scores with every digit, so that thresholds cut the same.
    """
    boxes = [
        (film, *(f"{side:.6f}" for side in box), repr(score))
        for film, found in zip(judged.predictions.paths, judged.found or (), strict=False)
        for box, score in zip(found.boxes.tolist(), found.scores.tolist(), strict=True)
    ]
    write_csv(path, [HEADER, *boxes])
