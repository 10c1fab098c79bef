"""What films have in common besides their truth: the parts of them in which errors are looked for."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise

import numpy as np

from hilum.evaluation.judge import Judgement
from hilum.evaluation.shortcut import Shortcut
from hilum.measures.figure import Floats

QUARTERS = (0.25, 0.5, 0.75)
NAMES = {
    "size": "shorter side",
    "border": "black border",
    "distance": "gate's distance",
    "box size": "true boxes cover",
    "box side": "true boxes lie",
    "box height": "true boxes lie",
}


def strata(judged: Judgement, shortcut: Shortcut) -> dict[str, list[str | None]]:
    """By column, the part that each film is in; None where it is not known, and for boxes where there are none.

    Labels are no column of these: a model that knows two classes errs by its nature more often in one of them.
    """
    films, readings = judged.predictions, judged.readings
    sides = np.array([min(reading.height, reading.width) for reading in readings], np.float64)
    borders = np.array([shortcut.borders.get(path, np.nan) for path in films.paths], np.float64)
    far = [reading.gate.distance for reading in readings]
    distances = np.array([np.nan if distance is None else distance for distance in far], np.float64)
    boxes = [judged.true_boxes(row) for row in range(len(films))]
    areas = np.array([np.nan if box is None or not len(box) else box[:, 2:].prod(1).sum() for box in boxes])
    return {
        **{column: values for column, values in judged.columns.items() if column != "label"},
        "size": bands(sides, lambda side: f"{side:,.0f}", "pixels"),
        "border": bands(borders, _percent, "of the film"),
        "distance": bands(distances, lambda distance: f"{distance:.2f}", "of its limit"),
        "box size": bands(areas, _percent, "of the film"),
        "box side": [_where(box, 0, ("left of the middle", "right of the middle", "on both sides")) for box in boxes],
        "box height": [_where(box, 1, ("in the upper half", "in the lower half", "above and below")) for box in boxes],
    }


def bands(values: Floats, shown: Callable[[float], str], unit: str) -> list[str | None]:
    """Numbers by quarters of the films, as far as they differ; None for NaN, and for all where all are alike."""
    known = values[~np.isnan(values)]
    if not len(known) or known.min() == known.max():
        return [None] * len(values)
    # A lower quartile may be what a quarter of films and more have; it is an end of a band all the same.
    ends = sorted({float(np.quantile(known, share, method="lower")) for share in QUARTERS} - {float(known.max())})
    words = [shown(end) for end in ends]
    names = [f"up to {words[0]}", *(f"{low} to {high}" for low, high in pairwise(words))]
    names.append(f"above {words[-1]}")
    return [None if np.isnan(value) else f"{names[int(np.searchsorted(ends, value))]} {unit}" for value in values]


def _percent(share: float) -> str:
    return f"{100 * share:.2g}%"


def _where(boxes: Floats | None, axis: int, names: tuple[str, str, str]) -> str | None:
    """On which side of the middle the centers of boxes lie."""
    if boxes is None or not len(boxes):
        return None
    beyond = boxes[:, axis] + boxes[:, axis + 2] / 2 >= 0.5
    return names[1] if beyond.all() else names[2] if beyond.any() else names[0]
