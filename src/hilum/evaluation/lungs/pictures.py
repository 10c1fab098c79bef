"""Films with the edges of their lungs, as the model found them and as their copies have them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.evaluation.judge import Judgement
from hilum.evaluation.lungs.measure import HALF, LungEvaluation, lungs_of_copy
from hilum.evaluation.report.document import Film, Gallery
from hilum.evaluation.report.film_pictures import BOX_SIDE, PREDICTED, TRUE, short, to_jpeg
from hilum.radiograph.read import read

WORST, BY_CHANCE = 3, 3
CAPTION = "as the model sees them, the lungs of the copy in blue, those that it found in orange"


def lung_galleries(found: LungEvaluation, judged: Judgement, seed: int) -> list[Gallery]:
    """The films on which the model and the copies differ most, and some taken by chance."""
    order = np.argsort(found.each[:, 0], kind="stable")
    chance = np.sort(np.random.Generator(np.random.Philox(seed)).permutation(len(order))[:BY_CHANCE])
    return [
        Gallery(f"{title}; {CAPTION}", [_film(found, judged, int(place)) for place in places], "")
        for title, places in (("Least like their copies", order[:WORST]), (f"Taken by chance (seed {seed})", chance))
    ]


def _film(found: LungEvaluation, judged: Judgement, place: int) -> Film:
    row = int(found.rows[place])
    mask, true = judged.readings[row].lungs, lungs_of_copy(judged, found.copies[place])
    assert mask is not None and true is not None  # or it had not been measured
    seen = judged.card.geometry.apply(read(judged.film_paths[row]).pixels)
    levels = _enlarged(seen, Image.Resampling.BILINEAR)
    picture = np.repeat(levels[..., None], 3, axis=2)
    for inside, color in ((true, TRUE), (mask >= HALF, PREDICTED)):
        picture[_edge(_enlarged(inside, Image.Resampling.NEAREST))] = color
    words = f"Dice {found.each[place, 0]:.2f}"
    name = short(judged.predictions.paths[row])
    return Film(name, words, to_jpeg(levels), to_jpeg(picture, thin_lines=True), "lungs")


def _enlarged(picture: NDArray[np.generic], how: Image.Resampling) -> NDArray[np.uint8]:
    height, width = picture.shape
    scale = BOX_SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    return np.asarray(Image.fromarray(picture.astype(np.uint8)).resize(size, how))


def _edge(inside: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Places beside one on the other side, so that the line is two wide."""
    edge = np.zeros(inside.shape, np.bool_)
    for axis in (0, 1):
        differs = np.diff(inside, axis=axis) != 0
        edge |= np.insert(differs, 0, False, axis) | np.insert(differs, differs.shape[axis], False, axis)
    return edge
