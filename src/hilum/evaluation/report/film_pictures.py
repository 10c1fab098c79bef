"""Films as the small pictures of a report, and the boxes over them."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.measures.boxes.overlap import Detections
from hilum.measures.figure import Floats

SIDE, JPEG_QUALITY = 224, 78
BOX_SIDE = 384  # large enough for scores to be read
TRUE, PREDICTED, SHADOW = (86, 196, 255), (255, 176, 58), (0, 0, 0)  # told apart by the color blind, too
LINE, DASH, GAP, LETTERS = 4, 14, 10, 23
Pen = ImageDraw.ImageDraw
Corners = tuple[int, int, int, int]  # left, top, right, bottom


def thumbnail(pixels: NDArray[np.float32], side: int = SIDE) -> NDArray[np.uint8]:
    """The film in its own shape, its longer side as long as a page shows it."""
    height, width = pixels.shape
    scale = side / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    levels = Image.fromarray(np.rint(pixels * 255).astype(np.uint8))
    return np.asarray(levels.resize(size, Image.Resampling.BILINEAR, reducing_gap=3.0))


def to_jpeg(levels: NDArray[np.uint8], *, thin_lines: bool = False) -> bytes:
    """`thin_lines` keeps colors as sharp as brightness."""
    written = BytesIO()
    sampling = {"subsampling": 0} if thin_lines else {}
    Image.fromarray(levels).save(written, "JPEG", quality=JPEG_QUALITY, **sampling)
    return written.getvalue()


def short(path: str) -> str:
    """The last parts of a path, which tell films apart; where a data set lies is nobody's concern."""
    parts: Sequence[str] = PurePosixPath(path).parts
    return "/".join(parts[-3:])


def draw_boxes(levels: NDArray[np.uint8], true: Floats, predicted: Detections) -> NDArray[np.uint8]:
    """True boxes as solid blue lines, predicted ones over them as dashed orange lines with their scores."""
    picture = Image.fromarray(levels).convert("RGB")
    pen = ImageDraw.Draw(picture)
    height, width = levels.shape[:2]  # in grey or in color
    corners = [_corners(box, height, width) for box in true]
    for left, top, right, bottom in corners:
        pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), outline=SHADOW, width=LINE + 2)
        pen.rectangle((left, top, right, bottom), outline=TRUE, width=LINE)
    outlines = [_corners(box, height, width) for box in predicted.boxes]
    for outline in reversed(outlines):  # the surest on top
        _dashes(pen, *outline)
    _write_scores(pen, outlines, predicted.scores.tolist(), picture.size)
    return np.asarray(picture)


def _corners(box: Floats, height: int, width: int) -> Corners:
    """Left, top, right and bottom in pixels, so that the whole line lies on the film."""
    x, y, across, down = box
    ends = np.rint([x * width, y * height, (x + across) * width, (y + down) * height])
    left, top, right, bottom = np.clip(ends, 0, [width - 1, height - 1] * 2).astype(int).tolist()
    return left, top, right, bottom


def _dashes(pen: Pen, left: int, top: int, right: int, bottom: int) -> None:
    """The outline in dashes, each with a shadow, since films are white in places."""
    inner_right, inner_bottom = right - LINE + 1, bottom - LINE + 1
    for start in range(left, right + 1, DASH + GAP):
        end = min(start + DASH, right)
        _dash(pen, start, top, end, top + LINE - 1)
        _dash(pen, start, inner_bottom, end, bottom)
    for start in range(top, bottom + 1, DASH + GAP):
        end = min(start + DASH, bottom)
        _dash(pen, left, start, left + LINE - 1, end)
        _dash(pen, inner_right, start, right, end)


def _write_scores(pen: Pen, outlines: Sequence[Corners], scores: Sequence[float], size: tuple[int, int]) -> None:
    """Each on a tag at the box, above or below it: where no other tag is, if there is such a place."""
    font = ImageFont.load_default(LETTERS)
    width, height = round(pen.textlength("0.00", font)) + 8, LETTERS + 3
    taken: list[tuple[int, int]] = []
    for (left, top, right, bottom), score in zip(outlines, scores, strict=True):
        places = [
            (min(max(x, 0), max(size[0] - width, 0)), min(max(y, 0), max(size[1] - height, 0)))
            for y in (top - height, bottom + 1)
            for x in (left, right - width)
        ]
        free = (
            place
            for place in places
            if not any(abs(place[0] - x) < width and abs(place[1] - y) < height for x, y in taken)
        )
        x, y = next(free, places[0])
        taken.append((x, y))
        pen.rectangle((x, y, x + width, y + height), fill=PREDICTED)
        pen.text((x + 4, y + height // 2), f"{score:.2f}", SHADOW, font, anchor="lm")


def _dash(pen: Pen, left: int, top: int, right: int, bottom: int) -> None:
    pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=SHADOW)
    pen.rectangle((left, top, right, bottom), fill=PREDICTED)
