"""Synthetic chest films: a body of simple shapes, X-rayed by arithmetic, so that no patient's film is needed.

What the film shows apart from opacities (body, view, exposure, size, markers, noise) comes from random streams of its
own. So the label can be told by the opacity only, and the same seed with another label is the same patient.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.dataset.phantom import bones, lungs
from hilum.dataset.phantom.anatomy import AIR_SHARE, Chest, Habitus, build_chest
from hilum.dataset.phantom.canvas import Canvas, Map
from hilum.dataset.phantom.exposure import Exposure
from hilum.dataset.phantom.opacity import opacities, other_finding, visible_box

LABELS = ("normal", "bacterial", "viral")
OTHER_FINDINGS = ("nodule", "plate", "large heart")
WORKING_SIDE = 384  # larger films are drawn at this size and enlarged


@dataclass(frozen=True, slots=True)
class Phantom:
    """A synthetic film, upright and bright where dense, with the true boxes of its opacities."""

    pixels: NDArray[np.uint8]
    label: str
    boxes: tuple[tuple[int, int, int, int], ...]  # (x, y, width, height) of what is visible of each opacity
    view: str
    sex: str
    age: int


def draw_phantom(seed: tuple[int, ...] | int, label: str, shorter_side: int = 512) -> Phantom:
    """The film of a seed. Another label at the same seed changes nothing but the opacities."""
    return _draw(seed, label, shorter_side, finding=None)


def draw_not_normal(seed: tuple[int, ...] | int, shorter_side: int = 512) -> Phantom:
    """A film without an airspace opacity that is not normal either: a nodule, a streak, a large heart."""
    return _draw(seed, "normal", shorter_side, finding=OTHER_FINDINGS[np.random.default_rng(seed).integers(3)])


def _draw(seed: tuple[int, ...] | int, label: str, shorter_side: int, finding: str | None) -> Phantom:
    streams = np.random.SeedSequence(seed).spawn(4)
    framing, anatomy, disease, exposing = (np.random.default_rng(stream) for stream in streams)
    body = Habitus.drawn(anatomy)
    if finding == "large heart":
        body = body.with_large_heart()
    height, width, canvas = _frame(framing, body, shorter_side)
    chest = build_chest(anatomy, canvas, body)
    healthy = _thickness(anatomy, canvas, chest)
    exposure = Exposure.drawn(exposing, body, canvas)

    found = opacities(disease, canvas, chest, label)
    thickness = healthy
    if found:
        thickness = healthy + np.minimum(np.sum(found, axis=0), 0.92 * AIR_SHARE * chest.lung)
    if finding in ("nodule", "plate"):
        thickness = healthy + other_finding(disease, canvas, chest, finding)

    # The tone curve is set on the healthy chest, or the brightness of the whole film would tell the label.
    film = exposure.develop(thickness, exposure.window(healthy, chest.lung), canvas, (height, width))
    boxes = [visible_box(canvas, opacity, exposure.field) for opacity in found]
    return Phantom(
        pixels=film,
        label=label,
        boxes=tuple(_in_pixels(box, height, width) for box in boxes if box),
        view=body.view,
        sex=body.sex,
        age=body.age,
    )


def _frame(rng: np.random.Generator, body: Habitus, shorter_side: int) -> tuple[int, int, Canvas]:
    """The film's size in pixels and the part of the body on it: both lungs, and more or less around them."""
    ratio = float(np.clip(rng.normal(1.08, 0.14), 0.85, 1.35))
    side = shorter_side * float(np.clip(np.exp(rng.normal(0, 0.13)), 0.8, 1.3))
    height, width = (round(side), round(side * ratio)) if ratio > 1 else (round(side / ratio), round(side))
    top, bottom, half = -1.0 * body.tall, 26.5 * body.tall - 0.7 * body.breath, 14.4 * body.broad
    loose_x, loose_y = rng.uniform(1.06, 1.35 + 0.2 * body.youth), rng.uniform(1.06, 1.28)
    tall = max((bottom - top) * loose_y, 2 * half * loose_x / ratio)
    drawn = min(1.0, WORKING_SIDE / min(height, width))
    rows, columns = round(height * drawn), round(width * drawn)
    slack = 0.5 * (tall - (bottom - top))
    middle = (float(rng.normal(0, 0.5)), 0.5 * (top + bottom) + float(rng.uniform(-0.45, 0.45)) * slack)
    leaning = float(np.clip(rng.normal(0, 2.2), -6, 6))
    return height, width, Canvas.framed(rows, columns, rows / tall, middle, leaning)


def _thickness(rng: np.random.Generator, canvas: Canvas, chest: Chest) -> Map:
    """Everything the beam meets in a chest without opacities."""
    body = chest.body
    bone = bones.ribs(rng, canvas, chest) + bones.spine(rng, canvas, body) + bones.shoulders(canvas, body)
    hardened = np.minimum(chest.water / 3, 1) * (1 - 0.42 * chest.solid)  # bone stands out less where more is in front
    soft = chest.water + lungs.vessels(rng, canvas, chest) + lungs.parenchyma(rng, canvas, chest)
    gas = lungs.airways(canvas, body) + lungs.belly_gas(rng, canvas, body)
    metal = bones.leads(rng, canvas, body)
    return np.asarray(np.maximum(soft + bone * hardened + gas + metal, 0), np.float32)


def _in_pixels(box: tuple[float, float, float, float], height: int, width: int) -> tuple[int, int, int, int]:
    left, top = int(box[0] * width), int(box[1] * height)
    return left, top, max(1, round(box[2] * width) - left), max(1, round(box[3] * height) - top)
