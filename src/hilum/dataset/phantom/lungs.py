"""Airways, vessels and grain of the lungs on a phantom film, and gas in the belly, in centimeters of water."""

from __future__ import annotations

import numpy as np

from hilum.dataset.phantom.anatomy import Chest, Habitus
from hilum.dataset.phantom.canvas import Canvas, Map, Points, band, ellipse, rounded

HILA = np.array([(-3.9, 11.4), (4.3, 10.4)])  # right, left
CARINA = np.array([-0.25, 8.0])
FORKINGS = 6


def airways(canvas: Canvas, body: Habitus) -> Map:
    """Trachea and main bronchi: air in the middle of the mediastinum, so this takes thickness away."""
    pipe = canvas.blank()
    carina, hila = CARINA * [1, body.tall], HILA * [1, body.tall]
    trachea = rounded([(0, -20), (0, -4), (-0.1, 2), (carina[0], carina[1] - 0.3)], closed=False)
    canvas.fill(pipe, band(trachea, 0.85 - 0.2 * body.youth), 255)
    for hilum, half_width in zip(hila, (0.62, 0.52), strict=True):
        bronchus = rounded([carina, 0.5 * (carina + hilum) - np.array((0, 0.25)), hilum], closed=False)
        canvas.fill(pipe, band(bronchus, np.linspace(half_width, 0.7 * half_width, len(bronchus))), 170)
    return np.asarray(canvas.soften(pipe, 0.16) * np.float32(-2.1 / 255), np.float32)


def vessels(rng: np.random.Generator, canvas: Canvas, chest: Chest) -> Map:
    """Arteries and veins that leave the hila and fork until they are too thin to be seen."""
    tree = canvas.blank()
    fullness = rng.uniform(0.8, 1.25)
    for side, hilum in zip((-1, 1), HILA * [chest.body.broad, chest.body.tall], strict=True):
        x, y = hilum[0], hilum[1] - 0.5 * chest.body.breath
        canvas.fill(tree, ellipse(x, y, 0.75 * fullness, 1.5 * fullness), 110)
        start = np.array((x, y)) + rng.normal(0, 0.5, (7, 2))
        heading = np.deg2rad(np.array([-78, -50, -22, 8, 34, 58, 80]) + rng.normal(0, 7, 7))
        length = np.array([0.8, 0.9, 0.9, 0.9, 1.0, 1.15, 1.1]) * rng.uniform(2.0, 3.2, 7)
        radius = 0.33 * fullness
        for _ in range(FORKINGS):
            bent = heading + rng.normal(0, 0.22, len(heading))
            middle = start + 0.5 * _step(side, heading, length)
            end = middle + 0.5 * _step(side, bent, length)
            level = int(min(255, 60 + 560 * radius))
            canvas.stroke(tree, np.stack([start, middle, end], axis=1), 2 * radius, level)
            branches = 2 * len(bent)
            heading = np.repeat(bent, 2) + np.tile([-1, 1], len(bent)) * rng.uniform(0.15, 0.55, branches)
            start, length = np.repeat(end, 2, axis=0), np.repeat(length, 2) * rng.uniform(0.6, 1.0, branches)
            radius *= 0.7
    in_lung = np.minimum(chest.lung * np.float32(1 / 9), 1)
    return np.asarray(canvas.soften(tree, 0.05) * np.float32(1.7 / 255) * in_lung, np.float32)


def _step(side: int, heading: Points, length: Points) -> Points:
    return np.column_stack([side * np.cos(heading), np.sin(heading)]) * length[:, None]


def bronchogram(rng: np.random.Generator, canvas: Canvas, toward: Points) -> Map:
    """A few airways that fan out from the hilum through a place in the lung, from 0 to 1."""
    pipes = canvas.blank()
    hilum = HILA[0 if toward[0] < 0 else 1]
    aim = toward - hilum
    for angle in np.deg2rad(rng.uniform(-38, 38, 4)):
        turn = np.array([(np.cos(angle), -np.sin(angle)), (np.sin(angle), np.cos(angle))])
        bend, end = 0.5 * aim + rng.normal(0, 0.6, 2), 0.6 * aim + 0.7 * turn @ aim
        path = rounded([hilum, hilum + bend, hilum + end], closed=False)
        canvas.fill(pipes, band(path, np.linspace(0.2, 0.06, len(path))), 255)
    return np.asarray(canvas.soften(pipes, 0.08) * np.float32(1 / 255), np.float32)


def parenchyma(rng: np.random.Generator, canvas: Canvas, chest: Chest) -> Map:
    """The fine grain of vessels and septa too small to be drawn one by one."""
    grain = 0.20 * canvas.clouds(rng, 0.45) + 0.22 * canvas.clouds(rng, 1.1) + 0.12 * canvas.clouds(rng, 3.5)
    return np.asarray(rng.uniform(0.6, 1.3) * grain * chest.lung * np.float32(1 / 13), np.float32)


def belly_gas(rng: np.random.Generator, canvas: Canvas, body: Habitus) -> Map:
    """The stomach's bubble under the left dome and some bowel; takes thickness away."""
    gas = np.zeros_like(canvas.x)
    dome = 22.6 * body.tall - body.breath
    if rng.random() < 0.6:
        wide, tall = rng.uniform(1.6, 3.6), rng.uniform(0.8, 2.2)
        x, y = rng.uniform(4.5, 8.0), dome + 1.3 + tall
        fluid_level = y + tall * rng.uniform(-0.2, 1.0)
        gas += 4.5 * _bubble(canvas, x, y, wide, tall) * (canvas.y < fluid_level)
    for _ in range(int(rng.integers(0, 6))):
        x, y = rng.uniform(-9, 9), dome + rng.uniform(4.5, 11)
        gas += 3.0 * _bubble(canvas, x, y, rng.uniform(0.8, 2.4), rng.uniform(0.6, 1.4))
    return np.asarray(-canvas.soften(gas, 0.2), np.float32)


def _bubble(canvas: Canvas, x: float, y: float, wide: float, tall: float) -> Map:
    inside = 1 - np.square((canvas.x - x) / wide) - np.square((canvas.y - y) / tall)
    return np.asarray(np.sqrt(np.maximum(inside, 0)), np.float32)
