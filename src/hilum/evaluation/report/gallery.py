"""The films to look at: the worst errors of each kind, and some taken by chance, which show the usual case."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.prediction import Answered
from hilum.dataset.audit.finding import counted
from hilum.evaluation.journal.failures import Alike, Failures
from hilum.evaluation.judge import Judgement
from hilum.evaluation.report.document import Film, Gallery
from hilum.evaluation.report.film_pictures import BOX_SIDE, SIDE, draw_boxes, short, thumbnail, to_jpeg
from hilum.evaluation.report.words import percent
from hilum.measures.boxes.overlap import Detections, above
from hilum.measures.figure import Ints
from hilum.output.marks import blend
from hilum.radiograph import read

if TYPE_CHECKING:
    from hilum.bundle.predictor import Predictor

EACH = 9
NO_BOXES = Detections(np.empty((0, 4)), np.empty(0))
LINES = (
    "Beside each film the same with its boxes: true ones are solid blue lines, those that the model draws are dashed "
    "orange lines with their scores."
)


class Chosen(NamedTuple):
    """Galleries, and what is drawn in their pictures; `failures` are the surest errors, by what they share."""

    galleries: list[Gallery]
    about: str
    failures: Sequence[Gallery] = ()


def choose_films(judged: Judgement, failures: Failures, predictor: Predictor, seed: int) -> Chosen:
    """The errors that a reader learns most from, the surest first, and films taken by chance beside them."""
    films = judged.predictions
    order = np.argsort(films.probability, kind="stable")
    wrong = films.called != films.truth
    lowest = order[(wrong & films.truth)[order]]
    highest = order[::-1][(wrong & ~films.truth)[order[::-1]]]
    random = np.random.Generator(np.random.Philox(seed))
    by_chance = np.sort(random.permutation(len(films))[:EACH])
    galleries = [
        _gallery(
            "Pneumonia that was missed, the surest first",
            lowest,
            "No film with pneumonia was missed.",
            judged,
            predictor,
        ),
        _gallery(
            "Called pneumonia without it, the surest first", highest, "No film was called wrongly.", judged, predictor
        ),
        _gallery(f"Taken by chance (seed {seed})", by_chance, "", judged, predictor),
    ]
    about = LINES if judged.found is not None else _about(judged.card.heatmap)
    return Chosen(galleries, about, [_gallery_of_errors(judged, group, predictor) for group in failures.surest])


def _about(heatmap: str) -> str:
    if heatmap.startswith("none"):
        return f"The bundle has no heatmap ({heatmap.removeprefix('none: ')})."
    return (
        f"Beside each film its {heatmap}: color speaks for pneumonia, the brighter the more, on each film's own "
        "scale. It shows what the network weighed, not where disease is."
    )


def _gallery(title: str, rows: Ints, none: str, judged: Judgement, predictor: Predictor) -> Gallery:
    shown = rows[:EACH].tolist()
    title += f" ({len(shown)} of {len(rows):,})" if len(rows) > len(shown) and none else ""
    if judged.found is not None:
        return Gallery(title, [film_with_boxes(judged, row, _words(judged, row)) for row in shown], none)
    return Gallery(title, [_film(judged, row, predictor) for row in shown], none)


def _gallery_of_errors(judged: Judgement, group: Alike, predictor: Predictor) -> Gallery:
    title = f"{group.words[0].upper()}{group.words[1:]} ({counted(len(group.rows), 'film')}"
    title += ")" if group.share is None else f"; {percent(group.share)} of all films judged)"
    return Gallery(title, [_error(judged, row, predictor) for row in group.rows], "")


def _error(judged: Judgement, row: int, predictor: Predictor) -> Film:
    """A film, and beside it the same with its heatmap and with all boxes, as far as there are such."""
    true, found = judged.true_boxes(row), judged.found
    if found is None and (true is None or not len(true)):
        return _film(judged, row, predictor)
    levels = thumbnail(read(judged.film_paths[row], at_least=BOX_SIDE).pixels, BOX_SIDE)
    shown = NO_BOXES if found is None or judged.card.boxes is None else above(found[row], judged.card.boxes.threshold)
    under = _with_heatmap(judged, row, predictor, levels)
    drawn = draw_boxes(levels if under is None else under, NO_BOXES.boxes if true is None else true, shown)
    return Film(
        short(judged.predictions.paths[row]),
        _words(judged, row),
        to_jpeg(levels),
        to_jpeg(drawn, thin_lines=True),
        "boxes",
    )


def _with_heatmap(
    judged: Judgement, row: int, predictor: Predictor, levels: NDArray[np.uint8]
) -> NDArray[np.uint8] | None:
    """The film in color with its heatmap over it; None where there is none."""
    answer = predictor.decide(judged.readings[row], judged.asked[row])
    if not isinstance(answer, Answered) or answer.heatmap is None:
        return None
    grey = np.repeat(levels[..., None], 3, axis=2)
    return blend(grey, answer.heatmap_on_film(*levels.shape), float(np.abs(answer.heatmap).max()))


def _film(judged: Judgement, row: int, predictor: Predictor) -> Film:
    levels = thumbnail(read(judged.film_paths[row], at_least=SIDE).pixels)
    drawn = _with_heatmap(judged, row, predictor, levels)
    overlay = None if drawn is None else to_jpeg(drawn)
    return Film(short(judged.predictions.paths[row]), _words(judged, row), to_jpeg(levels), overlay)


def film_with_boxes(judged: Judgement, row: int, words: str) -> Film:
    """A film, and beside it the same with its true boxes and those that the bundle shows."""
    assert judged.found is not None and judged.card.boxes is not None
    levels = thumbnail(read(judged.film_paths[row], at_least=BOX_SIDE).pixels, BOX_SIDE)
    true = judged.true_boxes(row)
    drawn = draw_boxes(
        levels, np.empty((0, 4)) if true is None else true, above(judged.found[row], judged.card.boxes.threshold)
    )
    return Film(short(judged.predictions.paths[row]), words, to_jpeg(levels), to_jpeg(drawn, thin_lines=True), "boxes")


def _words(judged: Judgement, row: int) -> str:
    films = judged.predictions
    truth = "pneumonia" if films.truth[row] else "no pneumonia"
    label = films.labels[row]
    facts = [f"truth: {truth}" + (f" ({label})" if label and label != truth else "")]
    facts.append(f"probability of pneumonia: {percent(films.probability[row])}")
    if films.turned_away[row]:
        facts.append(f"the gate turned it away: {films.gate[row].replace('_', ' ')}")
    if judged.found is not None and judged.true_boxes(row) is None:
        facts.append("nobody drew true boxes on it")
    return " · ".join(facts)
