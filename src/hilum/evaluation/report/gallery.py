"""The films to look at: the worst errors of each kind, and some taken by chance, which show the usual case."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from hilum.bundle.asked import Asked
from hilum.bundle.prediction import Answered
from hilum.evaluation.judge import Judgement
from hilum.evaluation.report.document import Film, Gallery
from hilum.evaluation.report.film_pictures import BOX_SIDE, SIDE, draw_boxes, short, thumbnail, to_jpeg
from hilum.evaluation.report.words import percent
from hilum.measures.boxes.overlap import above
from hilum.measures.figure import Ints
from hilum.output.marks import blend
from hilum.radiograph import read

if TYPE_CHECKING:
    from hilum.bundle.predictor import Predictor

EACH = 9
LINES = (
    "Beside each film the same with its boxes: true ones are solid blue lines, those that the model draws are dashed "
    "orange lines with their scores."
)


class Chosen(NamedTuple):
    """Galleries, and what is drawn in their pictures."""

    galleries: list[Gallery]
    about: str


def choose_films(judged: Judgement, predictor: Predictor, seed: int) -> Chosen:
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
    return Chosen(galleries, LINES if judged.found is not None else _about(judged.card.heatmap))


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


def _film(judged: Judgement, row: int, predictor: Predictor) -> Film:
    levels = thumbnail(read(judged.film_paths[row], at_least=SIDE).pixels)
    answer = predictor.decide(judged.readings[row], Asked(operating_point=judged.point.name, gate=False))
    overlay = None
    if isinstance(answer, Answered) and answer.heatmap is not None:
        most = float(np.abs(answer.heatmap).max())
        grey = np.repeat(levels[..., None], 3, axis=2)
        overlay = to_jpeg(blend(grey, answer.heatmap_on_film(*levels.shape), most))
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
