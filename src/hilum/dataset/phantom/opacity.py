"""What is wrong with a lung: airspace opacities for the pneumonia labels, and findings that are no opacity.

Each finding is a map of the centimeters of water it puts in the place of air.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hilum.dataset.phantom.anatomy import AIR_SHARE, Chest
from hilum.dataset.phantom.canvas import Canvas, Map, Points, band, rounded
from hilum.dataset.phantom.lungs import bronchogram

# Where opacities sit, in centimeters of an adult: (x, y, wide, tall) of right and left zones.
LOBES = np.array(
    [
        (-7.2, 5.5, 4.2, 4.6),
        (-7.0, 14.5, 3.8, 3.4),
        (-8.2, 18.6, 4.4, 4.2),
        (7.2, 6.0, 4.0, 4.6),
        (8.6, 14.0, 3.4, 3.6),
        (7.2, 18.4, 4.4, 4.4),
    ]
)
LOBE_CHANCES = np.array([0.2, 0.15, 0.25, 0.1, 0.1, 0.2])
HAZES = np.array(
    [
        (-6.0, 11.0, 3.4, 4.0),
        (6.6, 10.6, 3.2, 4.0),
        (-7.2, 16.8, 3.8, 3.6),
        (8.0, 16.6, 3.4, 3.8),
        (-7.6, 6.2, 3.2, 3.4),
        (7.6, 6.4, 3.2, 3.4),
    ]
)
HAZE_CHANCES = (0.45, 0.4, 0.15)  # near the hilum, below, above


class Region(NamedTuple):
    """Where an opacity lies: an ellipse about a point, in centimeters."""

    center: Points
    radii: Points


def opacities(rng: np.random.Generator, canvas: Canvas, chest: Chest, label: str) -> list[Map]:
    """One map per region, faint to dense from film to film, bounded by the lungs."""
    draw = {"normal": _nothing, "bacterial": _lobar_pneumonia, "viral": _bilateral_pneumonia}[label]
    return draw(rng, canvas, chest, float(rng.beta(1.4, 1.3)))


def _nothing(rng: np.random.Generator, canvas: Canvas, chest: Chest, severity: float) -> list[Map]:
    return []


def _lobar_pneumonia(rng: np.random.Generator, canvas: Canvas, chest: Chest, severity: float) -> list[Map]:
    count = int(rng.choice([1, 2], p=[0.75, 0.25]))
    lobes = rng.choice(len(LOBES), count, replace=False, p=LOBE_CHANCES)
    return [_consolidation(rng, canvas, chest, LOBES[lobe], severity) for lobe in lobes]


def _bilateral_pneumonia(rng: np.random.Generator, canvas: Canvas, chest: Chest, severity: float) -> list[Map]:
    zones = [int(rng.choice([0, 2, 4], p=HAZE_CHANCES)), int(rng.choice([1, 3, 5], p=HAZE_CHANCES))]
    others = [zone for zone in rng.permutation(len(HAZES)) if zone not in zones]
    zones += others[: int(rng.integers(0, 3))]
    return [_haze(rng, canvas, chest, HAZES[zone], severity) for zone in zones]


def _consolidation(rng: np.random.Generator, canvas: Canvas, chest: Chest, lobe: Points, severity: float) -> Map:
    region = _placed(rng, chest, lobe, 0.7 + 0.75 * severity)
    away = _away(rng, canvas, region, 0.22, 0.04)
    inside = _fade(away, 1.35, 0.15)
    if rng.random() < 0.3:  # a fissure cuts the opacity off along a line
        (x, y), slope, sign = region.center.tolist(), rng.normal(0, 0.12), -1 if region.center[1] < 12 else 1
        beyond = sign * (canvas.y - y - slope * (canvas.x - x)) + 0.45 * float(region.radii[1])
        inside = inside * np.clip(0.5 + beyond / 0.5, 0, 1)
    density = 0.27 + 0.60 * severity * rng.uniform(0.75, 1.0)
    if severity > 0.35 and rng.random() < 0.6:
        inside = inside * (1 - 0.26 * bronchogram(rng, canvas, region.center))
    uneven = np.clip(1 + 0.11 * canvas.clouds(rng, 1.6) + 0.05 * canvas.clouds(rng, 0.6), 0.4, 1.5)
    return np.asarray(AIR_SHARE * density * inside * uneven * chest.lung, np.float32)


def _haze(rng: np.random.Generator, canvas: Canvas, chest: Chest, zone: Points, severity: float) -> Map:
    region = _placed(rng, chest, zone, 0.95 + 0.5 * severity)
    inside = _fade(_away(rng, canvas, region, 0.28, 0.08), 1.35, 0.15)
    patches = np.clip(0.75 + 0.35 * canvas.clouds(rng, 1.5), 0.1, 1.4)
    fine, coarse = np.abs(canvas.clouds(rng, 0.55)), np.abs(canvas.clouds(rng, 0.9))
    net = canvas.soften(np.maximum(1 - 1.5 * fine, 0) + np.maximum(1 - 1.5 * coarse, 0), 0.06)
    density = 0.14 + 0.36 * severity * rng.uniform(0.75, 1.0)
    return np.asarray(AIR_SHARE * density * inside * (0.8 * patches + 0.35 * net) * chest.lung, np.float32)


def other_finding(rng: np.random.Generator, canvas: Canvas, chest: Chest, kind: str) -> Map:
    """A nodule or a plate of collapsed lung; neither is an airspace opacity."""
    side = -1 if rng.random() < 0.5 else 1
    x, y = side * rng.uniform(5.5, 10) * chest.body.broad, rng.uniform(5, 17) * chest.body.tall
    if kind == "nodule":
        radius = rng.uniform(0.5, 1.3)
        ball = 1 - ((canvas.x - x) ** 2 + (canvas.y - y) ** 2) / radius**2
        return np.asarray(
            canvas.soften(np.asarray(1.7 * radius * np.sqrt(np.maximum(ball, 0)), np.float32), 0.06) * (chest.lung > 0),
            np.float32,
        )
    plate = canvas.blank()
    y = rng.uniform(15, 19) * chest.body.tall
    bow = rng.normal(0, 0.5)
    line = rounded([(x - 2.4, y - side * 0.5), (x, y + bow), (x + 2.4, y + side * 0.5)], closed=False)
    canvas.fill(plate, band(line, 0.16))
    return np.asarray(canvas.soften(plate, 0.07) * np.float32(1.6 / 255) * (chest.lung > 0), np.float32)


def _placed(rng: np.random.Generator, chest: Chest, zone: Points, grown: float) -> Region:
    size = np.array([chest.body.broad, chest.body.tall])
    center = zone[:2] * size + rng.normal(0, 0.8, 2) - [0, 0.6 * chest.body.breath]
    return Region(center, zone[2:] * size * grown * rng.uniform(0.8, 1.2, 2))


def _away(rng: np.random.Generator, canvas: Canvas, region: Region, lumps: float, fringe: float) -> Map:
    """How far out of an ellipse with an uneven rim every pixel is: 0 in its middle, 1 on its rim."""
    (x, y), (wide, tall) = (
        region.center.tolist(),
        region.radii.tolist(),
    )  # plain floats keep the maps in single precision
    plain = np.sqrt(np.square((canvas.x - x) / wide) + np.square((canvas.y - y) / tall))
    return np.asarray(plain + lumps * canvas.clouds(rng, 2.6) + fringe * canvas.clouds(rng, 0.8), np.float32)


def _fade(away: Map, outer: float, inner: float) -> Map:
    level = np.clip((outer - away) / (outer - inner), 0, 1)
    return np.asarray(level * level * (3 - 2 * level), np.float32)


def visible_box(canvas: Canvas, opacity: Map, field: Map) -> tuple[float, float, float, float] | None:
    """(left, top, right, bottom) of what can be seen of an opacity, as parts of the frame; None where nothing can."""
    seen = canvas.soften(opacity * field, 0.25)
    peak = float(seen.max())
    rows, columns = np.nonzero(seen > max(0.3 * peak, 0.05))
    if len(rows) == 0:
        return None
    return (
        float(columns.min() / canvas.width),
        float(rows.min() / canvas.height),
        float((columns.max() + 1) / canvas.width),
        float((rows.max() + 1) / canvas.height),
    )
