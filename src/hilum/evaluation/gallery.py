"""The films to look at: the worst errors of each kind, and some taken by chance, which show the usual case."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.bundle.prediction import Prediction
from hilum.evaluation.document import Film, Gallery
from hilum.evaluation.figure import Ints
from hilum.evaluation.judge import Judgement
from hilum.evaluation.words import percent
from hilum.output.overlay import blend
from hilum.radiograph import read

if TYPE_CHECKING:
    from hilum.bundle.predictor import Predictor

EACH = 9
SIDE, JPEG_QUALITY = 224, 78


class Chosen(NamedTuple):
    galleries: list[Gallery]
    about_heatmaps: str


def choose_films(judged: Judgement, predictor: Predictor, seed: int) -> Chosen:
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
    heatmap = judged.card.heatmap
    about = (
        f"The bundle has no heatmap ({heatmap.removeprefix('none: ')})."
        if heatmap.startswith("none")
        else f"Beside each film its {heatmap}: color speaks for pneumonia, the brighter the more, on each film's own "
        "scale. It shows what the network weighed, not where disease is."
    )
    return Chosen(galleries, about)


def _gallery(title: str, rows: Ints, none: str, judged: Judgement, predictor: Predictor) -> Gallery:
    shown = rows[:EACH].tolist()
    paths = [judged.film_paths[row] for row in shown]
    answers = predictor.predict(paths, operating_point=judged.point.name, gate=False)
    title += f" ({len(shown)} of {len(rows):,})" if len(rows) > len(shown) and none else ""
    return Gallery(title, [_film(judged, row, answer) for row, answer in zip(shown, answers, strict=True)], none)


def _film(judged: Judgement, row: int, answer: Prediction) -> Film:
    films = judged.predictions
    levels = thumbnail(read(judged.film_paths[row], at_least=SIDE).pixels)
    overlay = None
    if answer.heatmap is not None:
        most = float(np.abs(answer.heatmap).max())
        grey = np.repeat(levels[..., None], 3, axis=2)
        overlay = to_jpeg(blend(grey, answer.heatmap_on_film(*levels.shape), most))
    truth = "pneumonia" if films.truth[row] else "no pneumonia"
    label = films.labels[row]
    said = [f"truth: {truth}" + (f" ({label})" if label and label != truth else "")]
    said.append(f"model: {percent(films.probability[row])}")
    if films.turned_away[row]:
        said.append(f"the gate turned it away: {films.gate[row].replace('_', ' ')}")
    return Film(short(films.paths[row]), " · ".join(said), to_jpeg(levels), overlay)


def thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """The film in its own shape, its longer side as long as a page shows it."""
    height, width = pixels.shape
    scale = SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    levels = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    return np.asarray(levels.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def to_jpeg(levels: NDArray[np.uint8]) -> bytes:
    written = BytesIO()
    Image.fromarray(levels).save(written, "JPEG", quality=JPEG_QUALITY)
    return written.getvalue()


def short(path: str) -> str:
    """The last parts of a path, which tell films apart; where a data set lies is nobody's concern."""
    parts: Sequence[str] = PurePosixPath(path).parts
    return "/".join(parts[-3:])
