"""Lateral films made up from frontal ones, for the gate to learn what a film taken from the side looks like.

In a lateral film both lungs lie over each other, between the spine behind them and the breastbone in front, and air
begins soon on either side. So the halves of a frontal film are laid over each other and bent to such an outline.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Films = NDArray[np.uint8]
Levels = NDArray[np.floating]


def draw_lateral(films: Films, random: np.random.Generator) -> NDArray[np.uint8]:
    """A lateral film of the size of these, made from one of them."""
    height, width = films.shape[1:]
    halves = overlaid(films[random.integers(len(films))].astype(np.float32), random)
    y, x = np.mgrid[:height, :width].astype(np.float32) / np.array([height, width], np.float32)[:, None, None]
    # Where the spine stands in each row, most backward in the middle; and how far in front of it the body ends.
    bend, lean = random.uniform(-0.12, 0.04), random.uniform(-0.12, 0.12)
    spine = random.uniform(0.08, 0.28) + bend * np.sin(np.pi * y) + lean * (y - 0.5)
    bulge, widening = random.uniform(-0.1, 0.1), random.uniform(-0.25, 0.35)
    depth = random.uniform(0.85, 1) - spine + bulge * np.sin(np.pi * y) + widening * (y - 0.5)
    before = (x - spine) / np.maximum(depth, 0.3)  # 0 at the spine, 1 at the skin of the chest
    across = np.where(before < 0, before * random.uniform(-4, -1.5), before)  # what is behind the spine mirrors it
    down = y * (1 + random.uniform(-0.12, 0.25) * (before - 0.5))  # the diaphragm falls off backward
    levels = cv2.remap(
        halves,
        (across * width).astype(np.float32),
        (down * height).astype(np.float32),
        cv2.INTER_LINEAR,
        borderMode=cv2.BORDER_REPLICATE,
    )
    soft = random.uniform(0.01, 0.03)
    body = rising(x - spine + random.uniform(0.04, 0.16), soft)
    if random.random() < 0.8:
        body = body * rising(random.uniform(0.9, 1.05) - before, soft)
    heart = np.hypot(
        (before - random.uniform(0.45, 0.75)) / random.uniform(0.15, 0.28),
        (y - random.uniform(0.5, 0.72)) / random.uniform(0.12, 0.25),
    )
    levels = levels + random.uniform(0, 60) * np.exp(-(heart**3))
    levels = levels + random.uniform(0, 60) * rising(y - random.uniform(0.6, 0.95), 0.04)  # the belly
    levels = levels + random.uniform(0, 50) * rising(random.uniform(0, 0.25) - y, 0.05)  # shoulders and arms
    if random.random() < 0.5:
        vertebrae = np.sin(2 * np.pi * y * random.uniform(10, 18)) * np.exp(-(((x - spine) / 0.05) ** 2))
        levels = levels + random.uniform(5, 25) * vertebrae
    return np.asarray(np.rint(np.clip(levels * body, 0, 255)), np.uint8)


def overlaid(film: Levels, random: np.random.Generator) -> Levels:
    """The halves of a film over each other, the middle of the body at the left, the side of the chest at the right."""
    height, width = film.shape
    middle = int(width * random.uniform(0.44, 0.56))
    left, right = (
        cv2.resize(np.ascontiguousarray(half), (width, height))
        for half in (film[:, :middle][:, ::-1], film[:, middle:])
    )
    share = random.uniform(0.2, 0.8)
    return np.asarray(share * left + (1 - share) * right, np.float32)


def rising(distance: Levels, soft: float) -> Levels:
    """From 0 to 1 where a distance becomes positive."""
    return np.asarray(1 / (1 + np.exp(np.clip(-distance / soft, -30, 30))))
