"""The body on a phantom film: outlines in centimeters and the thickness, in centimeters of water, the beam meets."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hilum.dataset.phantom.canvas import Canvas, Map, Points, band, rounded, rounded_depth

# Half of the rib cage's inside, from the midline over the apex down to the last ribs: (x, y) of an adult.
CAGE = np.array(
    [
        (0, 2.4), (2.2, 1.6), (3.6, -0.6), (6.6, -0.6), (9.4, 2.2), (11.5, 6.4), (12.9, 12), (13.5, 17), (13.7, 22),
        (13.4, 28),
    ]
)  # fmt: skip
# Heart and great vessels, clockwise from the viewer's top left.
MEDIASTINUM = np.array(
    [
        (-2.3, -6), (-2.4, 1), (-2.8, 4.5), (-2.9, 7.5), (-2.6, 9.5), (-3.3, 11.5), (-4.8, 14), (-5.2, 16.8),
        (-4.7, 19.6), (-3.4, 22.0), (0, 23), (5, 23), (8.2, 22.4), (9.6, 20.8), (9.2, 18.4), (7.9, 15.6), (6.0, 12.8),
        (4.6, 11.2), (4.2, 9.8), (3.0, 9.2), (2.9, 8.4), (4.3, 7.9), (4.5, 6.2), (3.9, 4.9), (2.9, 4.4), (2.6, 1),
        (2.3, -6),
    ]
)  # fmt: skip
DIAPHRAGM = np.array(
    [
        (-16, 28.5), (-14.0, 25.9), (-13.0, 23.7), (-10.8, 21.4), (-8, 20.3), (-5, 20.5), (-2.6, 21.8), (0, 22.8),
        (2.6, 22.9), (5, 22.0), (8, 21.5), (10.8, 22.6), (13.0, 24.8), (14.0, 26.9), (16, 29.5),
    ]
)  # fmt: skip
# Half of the trunk's outline with neck and shoulder; the first ten points are above the armpit.
TRUNK = np.array(
    [
        (6.4, -30), (6.2, -13), (5.0, -9), (5.1, -6), (6.4, -4.4), (10, -3.4), (14.5, -2.8), (18, -1.2), (19.6, 1.5),
        (19.0, 4.5), (15.6, 8.5), (15.2, 12), (15.6, 17), (15.4, 23), (15.2, 30), (15.6, 60),
    ]
)  # fmt: skip
ABOVE_ARMPIT = 10
AIR_SHARE = 0.74  # the part of an inflated lung's thickness that is air


@dataclass(frozen=True, slots=True)
class Habitus:
    """What makes one patient look different from the next."""

    sex: str
    age: int
    youth: float  # 1 for an infant, 0 from ten years on
    view: str
    broad: float  # factors on the adult outlines
    tall: float
    heart: float
    fat: float  # 0 lean to 1 obese
    arms_up: bool
    spread: float  # how far the elbows are away from the body, in centimeters
    shoulders: float  # how far the scapulae are turned out of the lungs, in centimeters
    lean: float  # scoliosis
    bones: float  # contrast of bone, which falls with the tube voltage
    breath: float  # centimeters by which the diaphragm stands higher than at full inspiration

    @classmethod
    def drawn(cls, rng: np.random.Generator) -> Habitus:
        """A patient by chance: child or adult, lean or stout, lying or standing."""
        child = rng.random() < 0.45
        age = int(rng.integers(1, 7)) if child else int(np.clip(rng.normal(48, 18), 8, 92))
        youth = max(0.0, (10 - age) / 10)
        view = "AP" if rng.random() < (0.75 if child else 0.35) else "PA"
        return cls(
            sex="F" if rng.random() < 0.45 else "M",
            age=age,
            youth=youth,
            view=view,
            broad=float(np.clip(rng.normal(1.0, 0.045), 0.9, 1.1)),
            tall=float(np.clip(rng.normal(1.0, 0.05), 0.88, 1.12)) * (1 - 0.2 * youth),
            heart=float(np.clip(rng.normal(0.93, 0.08), 0.75, 1.15))
            * (1.06 if view == "AP" else 1)
            * (1 + 0.16 * youth),
            fat=float(rng.beta(1.5, 3.5)) * (1 - 0.6 * youth),
            arms_up=bool(rng.random() < 0.15 + 0.45 * youth),
            spread=float(rng.uniform(0.5, 9.0)),
            shoulders=float(rng.uniform(0.6, 3.2)) - (1.0 if view == "AP" else 0.0),
            lean=float(rng.normal(0, 0.35)),
            bones=float(rng.uniform(0.8, 1.45)) * (1 + 0.15 * youth),
            breath=float(np.clip(rng.normal(0.4 if view == "PA" else 1.2, 0.8), -0.6, 3.0)),
        )

    def with_large_heart(self) -> Habitus:
        """The same patient with cardiomegaly, which is no pneumonia."""
        return replace(self, heart=1.3 * self.heart)


@dataclass(frozen=True, slots=True)
class Chest:
    """The outlines that bones, vessels and diseases refer to, and the air in the way of the beam."""

    body: Habitus
    wall: Map  # depth inside the rib cage
    solid: Map  # 1 where heart or abdomen fills the beam's path, 0 where the lung alone does
    lung: Map  # centimeters of inflated lung
    water: Map  # centimeters of everything but bone and vessels


def build_chest(rng: np.random.Generator, canvas: Canvas, body: Habitus) -> Chest:
    """The chest of this patient: outlines, air and water under every pixel."""
    size = np.array([body.broad, body.tall])
    cages = (_cage(rng, size, -1), _cage(rng, size, 1))
    heart = size * np.array([body.heart, 1.0])
    contour = (MEDIASTINUM - np.array([0, 0.7 * body.breath])) * heart + rng.normal(0, 0.16, MEDIASTINUM.shape)
    contour[:, 0] += spine_x(body, contour[:, 1]) + rng.normal(0, 0.35)  # a patient turned a little on the long axis
    mediastinum = rounded(contour)
    dome = (DIAPHRAGM + rng.normal(0, 0.25, DIAPHRAGM.shape)) * size - [0, body.breath]
    dome[DIAPHRAGM[:, 0] < 0, 1] += rng.normal(0, 0.4)
    dome[DIAPHRAGM[:, 0] > 0, 1] += rng.normal(0, 0.4)
    abdomen = np.vstack([rounded(dome, closed=False), [(30, 60), (-30, 60)]])
    wall = canvas.depth_inside(*cages)
    air = rounded_depth(wall, rng.uniform(13.5, 15), 5.0)
    off_midline = np.clip((3.4 - np.abs(canvas.x - spine_x(body, canvas.y))) / 2.2, 0, 1)
    solid = rounded_depth(canvas.depth_inside(mediastinum), rng.uniform(8.5, 11), 3.0)
    solid += 8 * off_midline * off_midline * (3 - 2 * off_midline)
    solid += rounded_depth(canvas.depth_inside(abdomen), 17, 2.2)
    lung = canvas.soften(np.maximum(air - solid, 0), 0.06)
    water = _soft_tissue(rng, canvas, body) - np.float32(AIR_SHARE) * lung
    return Chest(body, wall, np.minimum(solid * np.float32(1 / 9), 1), lung, water)


def spine_x(body: Habitus, y: Map | Points) -> Map:
    """How far scoliosis moves the spine aside at a height, in centimeters."""
    return np.asarray(body.lean * np.sin(np.asarray(y, np.float64) / 7.0), np.float32)


def _cage(rng: np.random.Generator, size: Points, side: int) -> Points:
    outline = CAGE * size + rng.normal(0, 0.12, CAGE.shape)
    return rounded(np.vstack([outline, (0, outline[-1, 1])]) * [side, 1])


def cage_half_width(body: Habitus, y: Points) -> Points:
    """From the midline to the ribs' inside at a height, in centimeters."""
    return np.interp(y, CAGE[3:, 1] * body.tall, CAGE[3:, 0] * body.broad)


def _soft_tissue(rng: np.random.Generator, canvas: Canvas, body: Habitus) -> Map:
    """Trunk, neck, arms and breasts, as if there were no air in them."""
    deep = 19.5 + 6 * body.fat - 2 * body.youth
    flesh = rounded_depth(canvas.depth_inside(_trunk(body)), deep, 9.5)
    arms = canvas.blank()
    for side in (-1, 1):
        canvas.fill(arms, band(arm_line(body, side), 3.3 + 1.4 * body.fat - 0.5 * body.youth))
    arm_share = np.sqrt(canvas.soften(arms, 0.5) * np.float32(1 / 255))
    flesh += np.float32(7.5 + 2 * body.fat) * arm_share * (1 - 0.55 * np.minimum(flesh / deep, 1))
    flesh += np.minimum(flesh, 3) * np.clip((canvas.y - 19 * body.tall) / 8, 0, 1)  # the belly is thicker
    if body.sex == "F" and body.age > 14:
        flesh += _breasts(rng, canvas, body)
    folds = canvas.clouds(rng, 7.0) * 0.4 + canvas.clouds(rng, 2.2) * 0.2 + canvas.clouds(rng, 0.8) * 0.07
    return np.asarray(np.maximum(flesh + folds * np.minimum(flesh / 6, 1), 0), np.float32)


def _trunk(body: Habitus) -> Points:
    half = TRUNK.copy()
    half[ABOVE_ARMPIT:, 0] += 1.4 + 3.6 * body.fat - 0.8 * body.youth
    half[:ABOVE_ARMPIT, 0] *= 1 + 0.08 * body.fat
    half[:3, 0] *= 1 + 0.25 * body.youth  # a small child's head is near
    if body.arms_up:
        half[6:9] += [(-0.5, -1.8), (-0.6, -3.0), (-1.2, -2.0)]
    half[:, 0] *= body.broad
    return rounded(np.vstack([half, (half * [-1, 1])[::-1]]))


def arm_line(body: Habitus, side: int) -> Points:
    """The axis of the upper arm, from the shoulder joint."""
    if body.arms_up:
        points = [(17.6, 1.5), (20.5, -4), (22.5, -18)]
    else:
        points = [(18.0, 2.8), (19.4 + 0.25 * body.spread, 12), (19.8 + 0.8 * body.spread, 45)]
    return rounded(np.array(points) * [side * body.broad, 1], closed=False)


def _breasts(rng: np.random.Generator, canvas: Canvas, body: Habitus) -> Map:
    radius, bulk = rng.uniform(5.0, 7.5), rng.uniform(1.5, 5.0) * (0.7 + body.fat)
    total = np.zeros_like(canvas.x)
    for side in (-1, 1):
        x = side * (8.3 + rng.normal(0, 0.5)) * body.broad
        y = rng.uniform(15.5, 18.5) * body.tall
        sphere = 1 - ((canvas.x - x) / (1.1 * radius)) ** 2 - ((canvas.y - y) / radius) ** 2
        hanging = np.clip((canvas.y - y) / radius * 0.6 + 0.6, 0, 1)
        total += bulk * np.sqrt(np.maximum(sphere, 0)) * hanging
    return total


def clavicle_line(body: Habitus, side: int) -> Points:
    """The axis of a clavicle from the sternum outward; `side` is -1 or 1."""
    rise = 0.8 if body.view == "AP" else 0.0
    points = [(1.7, 3.5), (4.6, 2.7), (8.2, 1.3 - rise), (12.0, 0.3 - rise), (17.2, 0.6 - rise)]
    if body.arms_up:
        points[3:] = [(11.2, -1.2 - rise), (16.4, -3.0 - rise)]
    return rounded(np.array(points) * [side * body.broad, 1], closed=False)
