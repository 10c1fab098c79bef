"""What is drawn onto a film: color where the evidence is, boxes with their scores, the edge of the lungs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import ImageDraw, ImageFont

from hilum.bundle.prediction import Box
from hilum.output.table import percent

# From no evidence to the most: matplotlib's inferno (CC0) from a quarter to nine tenths, even in lightness and safe for
# the color blind; its black and its white would pass for film. Linear between these.
COLORS = np.array(
    [
        (87, 16, 110),
        (125, 30, 109),
        (163, 44, 97),
        (199, 62, 76),
        (228, 90, 49),
        (246, 128, 19),
        (252, 172, 17),
        (246, 209, 60),
    ],
    np.float32,
)
MOST_OPAQUE = 0.6
# No color of heat or film: boxes are seen over both.
BOX, SHADOW, LUNGS = (64, 224, 255), (0, 0, 0), (196, 214, 224)
LINE, TAG, LETTERS = 3, 26, 18
LUNG_OPACITY = 0.5  # of a thin line that must not look like a finding

Pen = ImageDraw.ImageDraw
Corner = tuple[float, float]


def blend(film: NDArray[np.uint8], evidence: NDArray[np.float32], most: float) -> NDArray[np.uint8]:
    """Color over a film (height x width x 3) where there is evidence for pneumonia, denser the more there is."""
    strength = np.clip(evidence / max(most, 1e-9), 0, 1)
    alpha = (MOST_OPAQUE * strength**0.7)[..., None]
    return np.asarray(np.rint(film * (1 - alpha) + colors_of(strength) * alpha), np.uint8)


def colors_of(strength: NDArray[np.float32]) -> NDArray[np.float32]:
    """The color of each strength from 0 to 1."""
    place = strength * (len(COLORS) - 1)
    lower = np.minimum(place.astype(np.intp), len(COLORS) - 2)
    share = (place - lower)[..., None]
    return np.asarray(COLORS[lower] * (1 - share) + COLORS[lower + 1] * share, np.float32)


def draw_edge_of_lungs(film: NDArray[np.uint8], lungs: NDArray[np.float32]) -> NDArray[np.uint8]:
    """A thin line along the edge of a mask (height x width, from 0 to 1) on a film (height x width x 3)."""
    inside = lungs >= 0.5
    edge = np.zeros_like(inside)
    edge[1:] |= inside[1:] != inside[:-1]
    edge[:, 1:] |= inside[:, 1:] != inside[:, :-1]
    drawn = film.copy()
    drawn[edge] = np.rint(film[edge] * (1 - LUNG_OPACITY) + np.array(LUNGS) * LUNG_OPACITY)
    return drawn


def draw_boxes(pen: Pen, boxes: Sequence[Box], height: int, width: int) -> None:
    """Boxes with a shadow on either side of the line, for films are white in places, and their scores on tags.

    The surest come first. A box whose tag would hide that of a surer one goes without.
    """
    corners = [
        (
            _inside(box.x, width),
            _inside(box.y, height),
            _inside(box.x + box.width, width),
            _inside(box.y + box.height, height),
        )
        for box in boxes
    ]
    for left, top, right, bottom in reversed(corners):  # the surest on top
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=SHADOW, width=LINE + 2)
        pen.rectangle((left, top, right, bottom), outline=BOX, width=LINE)
    font = ImageFont.load_default(LETTERS)
    tags: list[tuple[float, float, float]] = []
    for box, outline in zip(boxes, corners, strict=True):
        label = f"{box.label} {percent(box.score)}"
        across = pen.textlength(label, font) + 12
        place = _place_of_tag(outline, across, tags, height, width)
        if place is None:
            continue
        x, y = place
        tags.append((x, y, across))
        pen.rectangle((x, y, x + across, y + TAG), fill=BOX)
        pen.text((x + 6, y + TAG / 2), label, SHADOW, font, anchor="lm")


def _inside(share: float, pixels: int) -> int:
    return round(min(max(share * pixels, 0), pixels - 1))


def _place_of_tag(
    outline: tuple[int, int, int, int],
    across: float,
    tags: Sequence[tuple[float, float, float]],
    height: int,
    width: int,
) -> Corner | None:
    """Above or below the box and on the film, where no other tag is, if there is such a place."""
    left, top, right, bottom = outline
    rows = [y for y in (top - TAG, bottom + 1, top, bottom - TAG) if 0 <= y <= height - TAG]
    # A film lower than a tag has it at its upper edge.
    places = [(max(min(x, width - across), 0), y) for y in rows or [0] for x in (left, right - across)]
    free = (
        (x, y)
        for x, y in places
        if not any(
            abs(y - other_y) < TAG and x < other_x + wide and other_x < x + across for other_x, other_y, wide in tags
        )
    )
    return next(free, None)
