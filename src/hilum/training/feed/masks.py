"""Where the lungs are: read off films on which all but the lungs is black, and moved as their films are."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.training.variation.augment import Floats

STRIDE = 4  # a mask has a quarter of the film's sides
BLACK = 10  # grey levels up to this are blackened ones, or what JPEG left around them
CLOSED = np.ones((5, 5), np.uint8)  # dark places inside a lung, up to this size, belong to it


def lung_masks(pixels: NDArray[np.uint8], rows: NDArray[np.int64], maps: Floats | None) -> NDArray[np.float32]:
    """(films, 1, rows, columns) from 0 to 1: of the store's films in these rows; 0 everywhere for a row of -1.

    `maps` are the matrices by which films are moved; None leaves them where they are.
    """
    height, width = pixels.shape[1:]
    masks = np.zeros((len(rows), 1, height // STRIDE, width // STRIDE), np.float32)
    for place, row in enumerate(rows):
        if row < 0:
            continue
        lungs = cv2.morphologyEx((np.asarray(pixels[row]) > BLACK).astype(np.uint8) * 255, cv2.MORPH_CLOSE, CLOSED)
        if maps is not None:
            lungs = cv2.warpAffine(lungs, maps[place], (width, height), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
        small = cv2.resize(lungs, (width // STRIDE, height // STRIDE), interpolation=cv2.INTER_AREA)
        masks[place, 0] = small.astype(np.float32) / 255
    return masks
