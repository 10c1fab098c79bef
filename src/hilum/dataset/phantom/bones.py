"""Ribs, spine and shoulder girdle of a phantom film, and what is stuck on its skin, in centimeters of water."""

from __future__ import annotations

import numpy as np

from hilum.dataset.phantom.anatomy import Chest, Habitus, arm_line, cage_half_width, clavicle_line, spine_x
from hilum.dataset.phantom.canvas import Canvas, Map, Points, band, ellipse, rounded

RIBS = 12
RIBS_IN_FRONT = 10  # the last two end in the flank
FACING_FRONT = np.linspace(78, 152, 26)  # degrees round the chest, 0 at the spine
FACING_BACK = np.linspace(5, 96, 32)
BLADE = np.array(
    [(9.6, -0.8), (9.4, 3.0), (10.8, 8.5), (12.4, 13.2), (13.5, 13.0), (14.6, 8.0), (15.6, 4.6), (15.2, 1.4), (13, 0.2)]
)
BLADE_RIDGE = np.array([(9.8, 2.0), (13.5, 0.2), (16.6, -1.6), (18.2, -0.8)])


def rib_path(body: Habitus, number: int, side: int, anterior: bool) -> tuple[Points, Points]:
    """The axis of a rib from the spine to its end in front, and its half width along it.

    A rib lies on a tilted ring round the chest: seen from the front it runs outward and down, turns at the chest's
    side and comes back further down.
    """
    start = (-0.7 + 2.05 * number + 0.012 * number**2) * body.tall
    drop = np.interp(number, [0, 1, 3, 6, 9, 11], [1.6, 2.9, 4.0, 4.6, 4.8, 4.6]) * body.tall * (1 - 0.3 * body.youth)
    end = np.interp(number, [0, 6, 8, 9, 10, 11], [152, 150, 138, 122, 80, 55])
    degrees = FACING_FRONT if anterior else FACING_BACK
    angle = np.deg2rad(degrees[degrees <= end])
    y = start + drop * (0.6 * (1 - np.cos(angle)) + 0.4 * angle / (0.5 * np.pi))
    ring = cage_half_width(body, y) + 0.12
    if number < 2:
        ring = np.full_like(y, (6.1, 8.7)[number] * body.broad)
    x = ring * np.sin(angle) ** 0.75
    half_width = (0.46 + 0.018 * min(number, 8)) * (1 + 0.28 * np.maximum(angle - 1.6, 0)) * (0.95 - 0.1 * body.youth)
    half_width *= 1 - 0.42 * np.exp(-np.square((angle - 1.57) / 0.42))  # a rib is flat, and seen edge-on at the side
    beside_spine = x > 1.75
    axis = np.column_stack([side * x + spine_x(body, y) * np.abs(np.cos(angle)), y])
    return axis[beside_spine], half_width[beside_spine]


def ribs(rng: np.random.Generator, canvas: Canvas, chest: Chest) -> Map:
    """All ribs, those behind and, softer, those in front, in centimeters of water."""
    total = np.zeros_like(canvas.x)
    for anterior, strength in ((False, 1.0), (True, rng.uniform(0.45, 0.75))):
        bone = canvas.blank()
        for side in (-1, 1):
            for number in range(RIBS_IN_FRONT if anterior else RIBS):
                axis, half_width = rib_path(chest.body, number, side, anterior)
                axis += rng.normal(0, 0.07, 2)
                level = 210 if number < 9 else 140
                canvas.fill(bone, band(axis, half_width), level)
                canvas.fill(bone, band(axis - np.array((0, 0.04)), half_width * 0.62), level * 9 // 16)  # marrow
        total += canvas.soften(bone, 0.075) * np.float32(strength / 255)
    along_the_beam = 1 + np.exp(-np.square(chest.wall / 0.8))  # at the chest's side the beam runs along the bone
    return np.asarray(1.75 * chest.body.bones * total * along_the_beam, np.float32)


def spine(rng: np.random.Generator, canvas: Canvas, body: Habitus) -> Map:
    """Vertebral bodies with their plates, discs, pedicles, spinous and transverse processes."""
    blocks, edges = canvas.blank(), canvas.blank()
    pitch = 2.2 * body.tall
    tall = 0.41 * pitch
    for level in range(-6, 16):
        y = (level + 0.2) * pitch
        x = float(spine_x(body, np.array(y)))
        wide = (1.45 + 0.035 * level) * (1 + 0.12 * body.youth) * body.broad
        waisted = [(-1, -1), (-0.84, 0), (-1, 1), (1, 1), (0.84, 0), (1, -1)]
        canvas.fill(blocks, rounded(np.array(waisted) * [wide, tall], cuts=2) + np.array((x, y)), 150)
        for side in (-1, 1):
            process = np.array([(0.6 * wide, -0.5), (wide + 1.1, -0.75), (wide + 1.3, -0.4), (0.7 * wide, 0.15)])
            canvas.fill(edges, process * [side, 1] + np.array((x, y)), 90)
            pedicle = x + side * 0.62 * wide
            canvas.fill(edges, ellipse(pedicle, y - 0.15 * tall, 0.33, 0.42), 190)
            canvas.fill(edges, ellipse(pedicle, y - 0.15 * tall, 0.17, 0.25), 70)
        for plate in (y - tall, y + tall):
            canvas.stroke(edges, np.array([(x - wide, plate), (x + wide, plate)]), 0.14, 150)
        canvas.fill(edges, ellipse(x, y + 0.5 * pitch, 0.22, 0.5), 190)  # the spinous process, seen from its tip
    sideways = np.square((canvas.x - spine_x(body, canvas.y)) / np.float32(1.75 * body.broad))
    column = np.maximum(1 - np.square(sideways), 0)
    drawn = canvas.soften(blocks, 0.12) * np.float32(2.0 / 255) + canvas.soften(edges, 0.07) * np.float32(1.5 / 255)
    return np.asarray(rng.uniform(0.5, 1.0) * body.bones * (drawn + 0.7 * column), np.float32)


def shoulders(canvas: Canvas, body: Habitus) -> Map:
    """Scapulae, clavicles and upper arms."""
    blades, tubes = canvas.blank(), canvas.blank()
    for side in (-1, 1):
        outward = np.array([side * body.broad, 1.0])
        blade = rounded((BLADE + np.array((body.shoulders, -1.2 if body.arms_up else 0.0))) * outward)
        canvas.fill(blades, blade, 60)
        canvas.stroke(blades, blade[6:-12], 0.3, 170)
        ridge = rounded((BLADE_RIDGE + np.array((0.6 * body.shoulders, 0))) * outward, closed=False)
        canvas.fill(blades, band(ridge, 0.45), 140)
        arm = arm_line(body, side)
        canvas.fill(tubes, band(arm, 1.15), 200)
        canvas.fill(tubes, band(arm, 0.7), 110)
        canvas.fill(tubes, ellipse(arm[0, 0], arm[0, 1], 2.25, 2.4), 170)
        canvas.fill(tubes, ellipse(arm[0, 0], arm[0, 1], 1.9, 2.0), 135)
        clavicle = clavicle_line(body, side)
        half_width = np.linspace(0.78, 0.55, len(clavicle)) * (1 - 0.15 * body.youth)
        canvas.fill(tubes, band(clavicle, half_width), 215)
        canvas.fill(tubes, band(clavicle, half_width * 0.6), 140)
    thin, thick = canvas.soften(blades, 0.12), canvas.soften(tubes, 0.09)
    return np.asarray(body.bones * (thin * np.float32(1.7 / 255) + thick * np.float32(2.5 / 255)), np.float32)


def leads(rng: np.random.Generator, canvas: Canvas, body: Habitus) -> Map:
    """Electrodes and their wires on the skin of some patients, more often on films taken in bed."""
    metal = canvas.blank()
    if rng.random() < (0.3 if body.view == "AP" else 0.04):
        for side, y in ((-1, rng.uniform(1, 5)), (1, rng.uniform(1, 5)), (1, rng.uniform(18, 24))):
            x = side * rng.uniform(7, 14)
            end = (x + side * rng.uniform(-3, 12), 40) if y > 10 else (x + side * rng.uniform(-3, 3), -20)
            bend = (0.5 * (x + end[0]) + rng.normal(0, 3), 0.5 * (y + end[1]))
            canvas.stroke(metal, rounded([(x, y), bend, end], closed=False), 0.12, 120)
            canvas.fill(metal, ellipse(x, y, 0.75, 0.75), 70)
            canvas.fill(metal, ellipse(x, y, 0.3, 0.3), 255)
    return np.asarray(canvas.soften(metal, 0.04) * np.float32(6 / 255), np.float32)
