"""Augmented films on the CPU: OpenCV warps, a table of 256 grey levels for each film, several films at a time.

`sampler_torch` does the same on a GPU. The two differ by a grey level here and there, from rounding.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.training.variation.augment import Draws, Floats, grade, grain, kernels

Grey = NDArray[np.uint8]
Pixels = Grey | NDArray[np.float32]  # grey levels, or floats in [0, 1]

BORDERS = {"edge": cv2.BORDER_REPLICATE, "reflect": cv2.BORDER_REFLECT}
FILMS_AT_A_TIME = 16  # at 224 x 224 these stay in a core's cache between the steps
LEVELS = np.arange(256, dtype=np.uint8)
UNIT = np.arange(256, dtype=np.float32) * np.float32(1 / 255)

_grain = lru_cache(maxsize=2)(grain)


def sample(
    pixels: Grey,
    rows: NDArray[np.int64],
    matrices: Floats,
    draws: Draws,
    result_size: tuple[int, int],
    *,
    threads: int,
) -> Grey:
    """(films, height, width): the films of these rows as drawn, moved by these matrices."""
    result = np.empty((len(rows), *result_size), np.uint8)
    with ThreadPoolExecutor(threads) as executor:
        sample_into(result, executor, pixels, rows, matrices, draws)
    return result


def sample_into(
    result: Pixels,
    executor: ThreadPoolExecutor,
    pixels: Grey,
    rows: NDArray[np.int64],
    matrices: Floats,
    draws: Draws,
) -> None:
    """The same into an array, by threads that are there: OpenCV leaves the interpreter's lock while it computes."""
    films = np.asarray(pixels)  # views of a memory map are slow to make

    def fill(start: int) -> None:
        part = slice(start, start + FILMS_AT_A_TIME)
        into = result[part]
        levels = into if into.dtype == np.uint8 else np.empty(into.shape, np.uint8)
        _warp(films, rows[part], matrices[part], draws, levels)
        vary(levels, draws[part], into)

    list(executor.map(fill, range(0, len(rows), FILMS_AT_A_TIME)))


def _warp(films: Grey, rows: NDArray[np.int64], matrices: Floats, draws: Draws, levels: Pixels) -> None:
    fill = draws.augmentation.fill
    border, outside = BORDERS.get(str(fill), cv2.BORDER_CONSTANT), (fill if isinstance(fill, int) else 0,)
    size, flags = levels.shape[:0:-1], cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    for row, matrix, film in zip(rows, matrices, levels, strict=True):
        cv2.warpAffine(films[row], matrix, size, film, flags, border, outside)


def vary(levels: Pixels, draws: Draws, result: Pixels) -> None:
    """All that is done to films apart from moving them. `levels` are used up, and may be where the result goes."""
    described, (height, width) = draws.augmentation, levels.shape[1:]
    if described.blur:
        for film, kernel in zip(levels, kernels(draws), strict=True):
            cv2.sepFilter2D(film, cv2.CV_8U, kernel, kernel, film, borderType=cv2.BORDER_REPLICATE)
    values = LEVELS if result.dtype == np.uint8 else UNIT
    tables = _tables(draws, levels) if described.grades else np.broadcast_to(LEVELS, (len(levels), 256))
    if described.noise or described.jpeg < 100:
        for film, table in zip(levels, tables, strict=True):
            cv2.LUT(film, table, film)
        tables = np.broadcast_to(LEVELS, tables.shape)
    if described.noise:
        noise = _grain(draws.seed, height * width)
        for film, start, deviation in zip(levels, draws.grain, draws.noise, strict=True):
            added = np.rint(noise[start : start + film.size] * np.float32(deviation)).astype(np.int16)
            cv2.add(film, added.reshape(film.shape), film, None, cv2.CV_8U)
    if described.jpeg < 100:
        for film, quality in zip(levels, draws.jpeg, strict=True):
            _, written = cv2.imencode(".jpg", film, (cv2.IMWRITE_JPEG_QUALITY, int(quality)))
            film[:] = cv2.imdecode(written, cv2.IMREAD_GRAYSCALE)
    # One pass for the grey levels and for making floats of them.
    if described.grades or result is not levels:
        for film, table, into in zip(levels, values[tables], result, strict=True):
            cv2.LUT(film, table, into)
    if described.erase:
        edges = np.rint(draws.patch * [width, height, width, height]).astype(int)
        for film, (left, top, across, down) in zip(result, edges, strict=True):
            film[top : top + down, left : left + across] = 0


def _tables(draws: Draws, films: Pixels) -> Grey:
    means = np.array([cv2.mean(film)[0] for film in films]) if draws.augmentation.contrast else np.zeros(len(films))
    columns = (means, draws.contrast, draws.brightness, draws.gamma)
    mean, contrast, brightness, gamma = (column[:, None].astype(np.float32) for column in columns)
    return grade(np.arange(256, dtype=np.float32), mean, contrast, brightness, gamma).astype(np.uint8)
