"""The films to look at for a detector's boxes: the worst misses, the worst false boxes, and some taken by chance."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from hilum.dataset.audit.finding import counted
from hilum.evaluation.judge import Judgement
from hilum.evaluation.measure_boxes import BoxEvaluation
from hilum.evaluation.report.document import Gallery
from hilum.evaluation.report.gallery import EACH, film_with_boxes
from hilum.measures.boxes.froc import OVERLAP
from hilum.measures.boxes.overlap import ROUNDING, Detections, above, iou, match
from hilum.measures.figure import Floats


class Compared(NamedTuple):
    """A film by its boxes. `row` is its place in the Judgement; numbers of boxes are of those that are shown.

    `lowest` is the best score of any box on the true box that got the least, and `area` the size of that; `highest` is
    the score of the surest false box, and `touches` its overlap with a true one.
    """

    row: int
    true: int
    found: int
    false: int
    lowest: float
    area: float
    highest: float
    touches: float


def choose_box_films(judged: Judgement, boxes: BoxEvaluation, seed: int) -> list[Gallery]:
    """A miss is the worse the lower the best score on it, and the larger; a false box, the higher its own score."""
    films = [
        _look(int(row), true, found, boxes.threshold)
        for row, true, found in zip(boxes.rows, boxes.truths, boxes.found, strict=True)
    ]
    missed = sorted((film for film in films if film.found < film.true), key=lambda film: (film.lowest, -film.area))
    wrong = sorted((film for film in films if film.false), key=lambda film: -film.highest)
    random = np.random.Generator(np.random.Philox(seed))
    by_chance = [films[place] for place in np.sort(random.permutation(len(films))[:EACH])]
    return [
        _gallery(judged, "Films with missed boxes, the surest misses first", missed, "No true box was missed.", _miss),
        _gallery(
            judged, "Films with false boxes, the highest scores first", wrong, "No false box was drawn.", _mistake
        ),
        _gallery(judged, f"Taken by chance (seed {seed})", by_chance, "", _counts),
    ]


def _look(row: int, true: Floats, found: Detections, threshold: float) -> Compared:
    on_true = iou(true, found.boxes) > OVERLAP + ROUNDING
    best = np.where(on_true, found.scores, 0).max(axis=1, initial=0)
    shown = above(found, threshold)
    order = np.argsort(-shown.scores, kind="stable")
    hit = match([true], [shown], (OVERLAP,)).hit[:, 0]
    false = Detections(shown.boxes[order][~hit], shown.scores[order][~hit])
    return Compared(
        row,
        true=len(true),
        found=int(hit.sum()),
        false=len(false.scores),
        lowest=float(best.min(initial=1)),
        area=float(np.prod(true[best.argmin(), 2:])) if len(true) else 0.0,
        highest=float(false.scores.max(initial=0)),
        touches=float(iou(true, false.boxes[:1]).max(initial=0)),
    )


def _counts(film: Compared) -> str:
    counts = f"{film.found} of {counted(film.true, 'true box', 'true boxes')} found" if film.true else "no true box"
    return counts + (f" · {counted(film.false, 'false box', 'false boxes')}" if film.false else "")


def _miss(film: Compared) -> str:
    if not film.lowest:
        return f"{_counts(film)} · nothing drawn on the missed one, at any score"
    return f"{_counts(film)} · best score on the missed one {film.lowest:.2f}"


def _mistake(film: Compared) -> str:
    near = f"overlap with a true one {film.touches:.2f}" if film.touches else "touches no true one"
    if film.touches > OVERLAP + ROUNDING:
        near = "a second box on a true one"
    return f"{_counts(film)} · score {film.highest:.2f}" + (f", {near}" if film.true else "")


def _gallery(
    judged: Judgement, title: str, films: list[Compared], none: str, words: Callable[[Compared], str]
) -> Gallery:
    shown = films[:EACH]
    title += f" ({len(shown)} of {len(films):,})" if len(films) > len(shown) and none else ""
    return Gallery(title, [film_with_boxes(judged, film.row, words(film)) for film in shown], none)
