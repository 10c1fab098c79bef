"""How films of other hospitals differ from those at hand, drawn at random: framing, tone, sharpness, grain.

The gate must not take such differences for something that is no chest film. What training varies is not enough here:
sources differ most in sharpness and local contrast, which a recipe has no reason to touch.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Film = NDArray[np.uint8]
# Clockwise quarter turns and inversion: the states a film may come in, upright first.
STATES = ("upright", "turned by 90", "turned by 180", "turned by 270", "inverted")


def vary(film: Film, random: np.random.Generator) -> Film:
    """The film as another device, detector or operator might have made it."""
    height, width = film.shape
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), random.uniform(-8, 8), 1.0)
    zoom_x, zoom_y = np.exp(random.uniform(-0.2, 0.2, 2))
    zoom = [[zoom_x, 0, (1 - zoom_x) * width / 2], [0, zoom_y, (1 - zoom_y) * height / 2], [0, 0, 1]]
    place = turn @ np.array(zoom)
    place[:, 2] += random.uniform(-0.06, 0.06, 2) * np.array([width, height])
    border = cv2.BORDER_CONSTANT if random.random() < 0.5 else cv2.BORDER_REPLICATE
    levels = cv2.warpAffine(film.astype(np.float32) / 255, place, (width, height), borderMode=border)
    if random.random() < 0.5:
        levels = levels[:, ::-1]
    levels = levels ** np.exp(random.uniform(-0.5, 0.5))
    mean = levels.mean()
    levels = (levels - mean) * np.exp(random.uniform(-0.4, 0.4)) + mean + random.uniform(-0.12, 0.12)
    blurred = cv2.GaussianBlur(levels, (0, 0), random.uniform(0.6, 1.5) * max(height, width) / 224)
    levels = levels + (levels - blurred) * random.uniform(-1.0, 1.5)
    surround = cv2.GaussianBlur(levels, (0, 0), max(height, width) / random.uniform(6, 14))
    levels = levels + (levels - surround) * random.uniform(-0.4, 0.6)
    levels = levels + random.normal(0, random.uniform(0, 0.025), levels.shape)
    return np.asarray(np.rint(np.clip(levels, 0, 1) * 255), np.uint8)


def in_state(film: Film, state: int) -> Film:
    """The film in one of the STATES, squashed back to its size where a turn exchanges the sides."""
    if state == 4:
        return np.asarray(255 - film)
    turned = np.ascontiguousarray(np.rot90(film, -state))
    if turned.shape == film.shape:
        return turned
    return np.asarray(cv2.resize(turned, film.shape[::-1], interpolation=cv2.INTER_AREA), np.uint8)
