"""Augmented films on the CPU: OpenCV warps, a table of 256 grey levels for each film, several films at a time.

`sampler_torch` does the same on a GPU. The two differ by a grey level here and there, from rounding.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.training.augment import Draws, Floats, grade, grain

BORDERS = {"edge": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT}
FILMS_AT_A_TIME = 16  # at 224 x 224 these stay in a core's cache between the steps

_grain = lru_cache(maxsize=2)(grain)


def sample(
    pixels: NDArray[np.uint8],
    rows: NDArray[np.int64],
    matrices: Floats,
    draws: Draws,
    result_size: tuple[int, int],
    *,
    threads: int,
    out: NDArray[np.uint8] | None = None,
) -> NDArray[np.uint8]:
    """(films, height, width): the films of these rows as drawn, moved by these matrices."""
    films = np.asarray(pixels)  # views of a memory map are slow to make
    result = np.empty((len(rows), *result_size), np.uint8) if out is None else out

    def fill(start: int) -> None:
        part = slice(start, start + FILMS_AT_A_TIME)
        _sample(films, rows[part], matrices[part], draws[part], result[part])

    # OpenCV leaves the interpreter's lock while it computes.
    with ThreadPoolExecutor(threads) as executor:
        list(executor.map(fill, range(0, len(rows), FILMS_AT_A_TIME)))
    return result


def _sample(
    films: NDArray[np.uint8], rows: NDArray[np.int64], matrices: Floats, draws: Draws, result: NDArray[np.uint8]
) -> None:
    described = draws.augmentation
    border, level = BORDERS.get(str(described.fill), cv2.BORDER_CONSTANT), described.fill
    outside = (level if isinstance(level, int) else 0,)
    height, width = result.shape[1:]
    for row, matrix, film in zip(rows, matrices, result, strict=True):
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        cv2.warpAffine(films[row], matrix, (width, height), film, flags, border, outside)
    if described.grades:
        for film, table in zip(result, _tables(draws, result), strict=True):
            cv2.LUT(film, table, film)
    if described.noise:
        noise = _grain(draws.seed, described.noise, height * width)
        for film, start in zip(result, draws.grain, strict=True):
            cv2.add(film, noise[start : start + film.size].reshape(film.shape), film, None, cv2.CV_8U)
    if described.erase:
        edges = np.rint(draws.patch * [width, height, width, height]).astype(int)
        for film, (left, top, across, down) in zip(result, edges, strict=True):
            film[top : top + down, left : left + across] = 0


def _tables(draws: Draws, films: NDArray[np.uint8]) -> NDArray[np.uint8]:
    means = np.array([cv2.mean(film)[0] for film in films]) if draws.augmentation.contrast else np.zeros(len(films))
    columns = (means, draws.contrast, draws.brightness, draws.gamma)
    mean, contrast, brightness, gamma = (column[:, None].astype(np.float32) for column in columns)
    return grade(np.arange(256, dtype=np.float32), mean, contrast, brightness, gamma).astype(np.uint8)
