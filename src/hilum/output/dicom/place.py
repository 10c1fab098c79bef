"""From the upright film that hilum judged to the pixels as the file stores them, where DICOM results point."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.prediction import Box


def stored(pixels: NDArray[np.generic], turn: int) -> NDArray[np.generic]:
    """A picture of the upright film, laid as its file stores it: what `upright` undoes."""
    if turn in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if turn in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    if turn in (5, 6, 7, 8):
        pixels = pixels.T if pixels.ndim == 2 else pixels.transpose(1, 0, 2)
    return np.ascontiguousarray(pixels)


def stored_points(points: NDArray[np.float64], turn: int) -> NDArray[np.float64]:
    """(n, 2), x and y as fractions of the upright film, as fractions of the stored picture."""
    x, y = points[:, 0], points[:, 1]
    if turn in (3, 4, 7, 8):
        y = 1 - y
    if turn in (2, 3, 6, 7):
        x = 1 - x
    if turn in (5, 6, 7, 8):
        x, y = y, x
    return np.stack([x, y], 1)


def upright_points(points: NDArray[np.float64], turn: int) -> NDArray[np.float64]:
    """What `stored_points` was given."""
    x, y = points[:, 0], points[:, 1]
    if turn in (5, 6, 7, 8):
        x, y = y, x
    if turn in (2, 3, 6, 7):
        x = 1 - x
    if turn in (3, 4, 7, 8):
        y = 1 - y
    return np.stack([x, y], 1)


def outline(box: Box, turn: int, size: tuple[int, int]) -> NDArray[np.float64]:
    """(5, 2): the corners of a box in columns and rows of the stored picture, from its corner, the first one twice."""
    left, top, right, bottom = box.x, box.y, box.x + box.width, box.y + box.height
    corners = np.array([[left, top], [right, top], [right, bottom], [left, bottom], [left, top]])
    rows, columns = size
    placed: NDArray[np.float64] = stored_points(corners.clip(0, 1), turn) * [columns, rows]
    return placed
