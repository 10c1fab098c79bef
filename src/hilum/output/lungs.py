"""The lungs of a film: their mask to be laid over it, both of them apart, the film cut to them, what covers them."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.bundle.prediction import Answered

LONGEST = 256  # pixels: the mask has far fewer places
PLACES = 64  # along the longer side of a film, where lungs are told apart
SMALLEST = 0.15  # share of all that is lung: what is less is no lung of its own
VALLEY = 0.5  # of the height of the lower lung: where lungs touch they are at most so high
MARGIN = 0.03  # of the film's sides, left around the lungs
HIGH = 0.5  # of its highest place: from here on a heatmap covers a place
By = Literal["boxes", "heatmap"]


class Lungs(NamedTuple):
    """Two lungs as masks (rows, columns) over the film: the one on the left of the picture, and the one on its right.

    In an upright frontal film the lung on the left of the picture is the patient's right one.
    """

    left: NDArray[np.bool_]
    right: NDArray[np.bool_]


def found_lungs(answer: Answered) -> bool:
    """Whether the network has a mask of the lungs, and found a pair of them on this film."""
    return answer.lungs is not None and bool((answer.lungs < 128).any())


def draw_lungs(answer: Answered) -> Image.Image:
    """The mask in grey levels, white where the lungs are, in the film's proportions."""
    return Image.fromarray(np.rint(answer.lungs_on_film(*_scaled(answer, LONGEST)) * 255).astype(np.uint8))


def two_lungs(answer: Answered) -> Lungs | None:
    """Both lungs; None where none were found, or not one on each side of the other."""
    if not found_lungs(answer):
        return None
    inside = answer.lungs_on_film(*_scaled(answer, PLACES)) >= 0.5
    parts = [part for part in connected(inside) if part.sum() >= SMALLEST * inside.sum()]
    if len(parts) == 1:
        parts = _parted(parts[0])
    if len(parts) != 2:
        return None
    left, right = sorted(parts, key=lambda part: float(np.nonzero(part)[1].mean()))
    return Lungs(left, right)


def box_of_lungs(answer: Answered) -> tuple[float, float, float, float] | None:
    """Left, top, right and bottom of both lungs with a margin, as fractions of the film; None without two lungs."""
    lungs = two_lungs(answer)
    if lungs is None:
        return None
    rows, columns = (np.flatnonzero((lungs.left | lungs.right).any(axis)) for axis in (1, 0))
    height, width = lungs.left.shape
    return (
        max(columns[0] / width - MARGIN, 0.0),
        max(rows[0] / height - MARGIN, 0.0),
        min((columns[-1] + 1) / width + MARGIN, 1.0),
        min((rows[-1] + 1) / height + MARGIN, 1.0),
    )


def cut_to_lungs(film: NDArray[np.float32], box: tuple[float, float, float, float]) -> NDArray[np.uint8]:
    """The part of a film (rows, columns) in [0, 1] within a box in fractions of it, in grey levels."""
    height, width = film.shape
    left, top, right, bottom = (round(side * length) for side, length in zip(box, (width, height) * 2, strict=True))
    return np.rint(film[top : max(bottom, top + 1), left : max(right, left + 1)] * 255).astype(np.uint8)


def covered(answer: Answered, by: By) -> tuple[float, float] | None:
    """Of either lung the share that boxes cover, or the higher places of the heatmap; None without two lungs.

    The lung on the left of the picture comes first.
    """
    lungs = two_lungs(answer)
    if lungs is None:
        return None
    height, width = lungs.left.shape
    over = np.zeros((height, width), bool)
    if by == "boxes":
        y, x = (np.arange(height) + 0.5) / height, (np.arange(width) + 0.5) / width
        for box in answer.boxes:
            across, down = (x >= box.x) & (x < box.x + box.width), (y >= box.y) & (y < box.y + box.height)
            over |= down[:, None] & across[None]
    elif answer.heatmap is not None and answer.heatmap.max() > 0:
        over = answer.heatmap_on_film(height, width) > HIGH * answer.heatmap.max()
    return float(over[lungs.left].mean()), float(over[lungs.right].mean())


def connected(inside: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """The parts of a mask whose places touch along a side."""
    names = np.where(inside, np.arange(1, inside.size + 1).reshape(inside.shape), 0)
    while True:  # every place takes the highest name around it, until none changes
        around = np.pad(names, 1)
        sides = (around[:-2, 1:-1], around[2:, 1:-1], around[1:-1, :-2], around[1:-1, 2:])
        highest = np.where(inside, np.maximum.reduce([names, *sides]), 0)
        if (highest == names).all():
            return [names == name for name in np.unique(names[inside])]
        names = highest


def _parted(part: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    """Lungs that touch, parted at the emptiest column of their middle third; a lung that is alone stays whole."""
    columns = np.flatnonzero(part.any(0))
    first, last = columns[0], columns[-1] + 1
    third = (last - first) // 3
    if third < 1:
        return [part]
    high = part.sum(0)
    middle = first + third + int(high[first + third : last - third].argmin())
    if high[middle] > VALLEY * min(high[:middle].max(), high[middle:].max()):
        return [part]
    left = part.copy()
    left[:, middle:] = False
    return [left, part & ~left]


def _scaled(answer: Answered, longest: int) -> tuple[int, int]:
    scale = min(longest / max(answer.height, answer.width), 1.0)
    return max(round(answer.height * scale), 1), max(round(answer.width * scale), 1)
