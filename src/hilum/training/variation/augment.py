"""How training films are varied: the description in a recipe, what is drawn from it for each film, and where points go.

The geometry of a film is ONE affine map, so a film is interpolated once, and boxes go where the pixels go. Its order is
that of torchvision pipelines: flips, turn and zoom about the center, shift, random resized crop. What is drawn has
torchvision's distributions. The pictures differ from torchvision's pipelines in three ways: these interpolate at every
step (RandomRotation with the nearest pixel unless told otherwise); they blacken what left the frame at one step even
where a later shift brings it back; and their crops end at the crop's edge, where ours see the pixel next to it.

There is no antialiasing: at equal sizes crops enlarge. Keep stores no larger than 1.5 times what the network takes.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import cv2
import numpy as np
from numpy.typing import NDArray

from hilum.system.typed import Bounds, out_of_bounds

if TYPE_CHECKING:
    import torch

Floats = NDArray[np.float64]
Range = tuple[float, float]
Levels = TypeVar("Levels", NDArray[np.floating[Any]], "torch.Tensor")

WHOLE: Range = (1.0, 1.0)
ATTEMPTS = 10  # of torchvision, at finding a crop or patch that fits
ERASED_AREA, ERASED_RATIO = (0.02, 0.33), (0.3, 3.3)  # defaults of RandomErasing
# Every parameter has its own random numbers for each film, so a new one leaves the others as they were.
FLIP_HORIZONTAL, FLIP_VERTICAL, ANGLE, ZOOM, SHIFT_X, SHIFT_Y, CONTRAST, BRIGHTNESS, GAMMA, GRAIN, ERASE = range(11)
BLUR, NOISE, JPEG = 11, 12, 13
CROP, PATCH = 100, 200  # and the 21 after each
GOLDEN = np.uint64(0x9E3779B97F4A7C15)
GRAIN_OFFSETS = 2**20

Share = Annotated[float, Bounds(0, 1)]
Factor = Annotated[Range, Bounds(0.1, 10)]


@dataclass(frozen=True, slots=True)
class Augmentation:
    """What a recipe says. Without arguments nothing is varied."""

    flip_horizontal: Share = 0.0  # probability
    flip_vertical: Share = 0.0  # probability
    rotation: Annotated[float, Bounds(0, 180)] = 0.0  # degrees either way, as RandomRotation
    # Share of the frame, as `scale` of RandomResizedCrop; 1 to 1: no crop.
    area: Annotated[Range, Bounds(0.01, 1)] = WHOLE
    ratio: Factor = WHOLE  # of the crop's width to its height, as RandomResizedCrop
    translation: Share = 0.0  # share of width and of height either way, as `translate` of RandomAffine
    zoom: Factor = WHOLE  # as `scale` of RandomAffine
    brightness: Share = 0.0  # as ColorJitter
    contrast: Share = 0.0  # as ColorJitter, and always before brightness, where ColorJitter shuffles
    gamma: Factor = WHOLE  # the power that grey levels are raised to
    blur: Annotated[float, Bounds(0, 10)] = 0.0  # a Gaussian of a standard deviation from 0 to this, in pixels
    # Of a standard deviation from 0 to this, where black is 0 and white is 1.
    noise: Annotated[float, Bounds(0, 0.5)] = 0.0
    jpeg: Annotated[int, Bounds(1, 100)] = 100  # a copy by JPEG, of a quality from this to 100; 100 is off
    erase: Share = 0.0  # probability of a black rectangle, as RandomErasing's
    # What lies outside the film: a grey level, or more of the film.
    fill: Annotated[int, Bounds(0, 255)] | Literal["edge", "reflect"] = 0

    def __post_init__(self) -> None:
        for fault in out_of_bounds(self, "augmentation"):
            raise ValueError(fault)
        if self.area == WHOLE != self.ratio:
            raise ValueError(f"augmentation.ratio = {self.ratio}: without a crop (area below 1) it does nothing")

    @property
    def grades(self) -> bool:
        """Whether grey levels are changed, other than by noise."""
        return self.brightness > 0 or self.contrast > 0 or self.gamma != WHOLE


@dataclass(frozen=True, slots=True, eq=False)
class Draws:
    """What was drawn, a row for each film. Lengths are in pixels of the frame, which has the source's `size`."""

    augmentation: Augmentation
    seed: int
    size: tuple[int, int]  # height, width
    flip_horizontal: NDArray[np.bool_]
    flip_vertical: NDArray[np.bool_]
    angle: Floats  # degrees, counterclockwise
    zoom: Floats
    shift: Floats  # x, y
    crop: Floats  # left, top, width, height
    contrast: Floats
    brightness: Floats
    gamma: Floats
    blur: Floats  # standard deviation in pixels of the result
    noise: Floats  # standard deviation in grey levels
    grain: NDArray[np.int64]  # where in the run's noise this film's begins
    jpeg: NDArray[np.int64]  # quality
    patch: Floats  # left, top, width, height of what is blackened, as shares of the frame

    def __len__(self) -> int:
        return len(self.angle)

    def __getitem__(self, part: slice) -> Draws:
        values: dict[str, Any] = {field.name: getattr(self, field.name) for field in fields(self)}
        for name, value in values.items():
            if isinstance(value, np.ndarray):
                values[name] = value[part]
        return Draws(**values)


def draw(
    augmentation: Augmentation,
    source_size: tuple[int, int],
    seed: int,
    epoch: int | NDArray[np.int64],
    images: NDArray[np.int64],
) -> Draws:
    """Follows from (seed, epoch, image) alone: not from the batch, the order or the number of processes.

    Images may each have an epoch of their own.
    """
    keys = _number(_number(_number(np.zeros(1, np.uint64), seed % 2**64), epoch), images)
    unit = _unit(keys, np.arange(JPEG + 1))
    height, width = source_size

    def uniform(stream: int, low: float, high: float) -> Floats:
        return low + (high - low) * unit[:, stream]

    def factor(stream: int, spread: float) -> Floats:
        return uniform(stream, max(0.0, 1 - spread), 1 + spread)

    def log_uniform(stream: int, bounds: Range) -> Floats:
        return np.exp(uniform(stream, math.log(bounds[0]), math.log(bounds[1])))

    far = augmentation.translation
    crop = np.tile(np.array([0, 0, width, height], np.float64), (len(images), 1))
    if augmentation.area != WHOLE:
        crop = _crops(keys, CROP, augmentation.area, augmentation.ratio, source_size)
    patch = np.zeros((len(images), 4))
    if augmentation.erase:
        erased = unit[:, ERASE, None] < augmentation.erase
        patches = _crops(keys, PATCH, ERASED_AREA, ERASED_RATIO, source_size)
        patch = np.where(erased, patches / [width, height, width, height], 0)
    return Draws(
        augmentation=augmentation,
        seed=seed,
        size=source_size,
        flip_horizontal=unit[:, FLIP_HORIZONTAL] < augmentation.flip_horizontal,
        flip_vertical=unit[:, FLIP_VERTICAL] < augmentation.flip_vertical,
        angle=uniform(ANGLE, -augmentation.rotation, augmentation.rotation),
        zoom=uniform(ZOOM, *augmentation.zoom),
        shift=np.rint(
            np.stack([uniform(SHIFT_X, -far * width, far * width), uniform(SHIFT_Y, -far * height, far * height)], 1)
        ),
        crop=crop,
        contrast=factor(CONTRAST, augmentation.contrast),
        brightness=factor(BRIGHTNESS, augmentation.brightness),
        gamma=log_uniform(GAMMA, augmentation.gamma),
        blur=uniform(BLUR, 0.0, augmentation.blur),
        noise=uniform(NOISE, 0.0, 255 * augmentation.noise),
        grain=(unit[:, GRAIN] * GRAIN_OFFSETS).astype(np.int64),
        jpeg=uniform(JPEG, augmentation.jpeg, 101 if augmentation.jpeg < 100 else 100).astype(np.int64),
        patch=patch,
    )


def _number(key: NDArray[np.uint64], position: NDArray[np.int64] | int) -> NDArray[np.uint64]:
    """The number at a position of the SplitMix64 sequence that starts at the key."""
    x = key + (np.atleast_1d(np.asarray(position, np.uint64)) + np.uint64(1)) * GOLDEN
    x = (x ^ (x >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    x = (x ^ (x >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return np.asarray(x ^ (x >> np.uint64(31)), np.uint64)


def _unit(keys: NDArray[np.uint64], streams: NDArray[np.int64]) -> Floats:
    """(keys, streams): numbers from 0 to below 1."""
    return (_number(keys[:, None], streams) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def _crops(keys: NDArray[np.uint64], stream: int, area: Range, ratio: Range, size: tuple[int, int]) -> Floats:
    """RandomResizedCrop's rectangles: the first of ten that fits, else a central one of the nearest ratio."""
    height, width = size
    unit = _unit(keys, np.arange(stream, stream + 2 + 2 * ATTEMPTS))
    pixels = height * width * (area[0] + (area[1] - area[0]) * unit[:, 2::2])
    log_low, log_high = math.log(ratio[0]), math.log(ratio[1])
    shape = np.exp(log_low + (log_high - log_low) * unit[:, 3::2])
    across, down = np.rint(np.sqrt(pixels * shape)), np.rint(np.sqrt(pixels / shape))
    fits = (across > 0) & (down > 0) & (across <= width) & (down <= height)
    first = np.arange(len(keys)), fits.argmax(1)
    w, h = across[first], down[first]
    drawn = np.stack([np.floor(unit[:, 0] * (width - w + 1)), np.floor(unit[:, 1] * (height - h + 1)), w, h], 1)
    nearest = min(max(width / height, ratio[0]), ratio[1])
    w_last, h_last = min(width, round(height * nearest)), min(height, round(width / nearest))
    last = np.array([(width - w_last) // 2, (height - h_last) // 2, w_last, h_last], np.float64)
    return np.where(fits.any(axis=1, keepdims=True), drawn, last)


def matrices(draws: Draws, result_size: tuple[int, int]) -> Floats:
    """(films, 2, 3): from pixels of the result to pixels of the source, where (0, 0) is the first pixel's center."""
    height, width = draws.size
    left, top, across, down = draws.crop.T
    turn = np.radians(draws.angle)
    cos, sin = np.cos(turn) / draws.zoom, np.sin(turn) / draws.zoom
    mirror_x, mirror_y = np.where(draws.flip_horizontal, -1, 1), np.where(draws.flip_vertical, -1, 1)
    stretch_x, stretch_y = across / result_size[1], down / result_size[0]
    # The center of the result's first pixel, seen from the frame's center, before the shift.
    first_x = left + stretch_x / 2 - draws.shift[:, 0] - width / 2
    first_y = top + stretch_y / 2 - draws.shift[:, 1] - height / 2
    result = np.empty((len(draws), 2, 3))
    result[:, 0, 0], result[:, 0, 1] = mirror_x * cos * stretch_x, -mirror_x * sin * stretch_y
    result[:, 1, 0], result[:, 1, 1] = mirror_y * sin * stretch_x, mirror_y * cos * stretch_y
    result[:, 0, 2] = mirror_x * (cos * first_x - sin * first_y) + (width - 1) / 2
    result[:, 1, 2] = mirror_y * (sin * first_x + cos * first_y) + (height - 1) / 2
    return result


def transform_boxes(
    boxes: Floats, matrix: Floats, result_size: tuple[int, int], min_visible: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """Boxes (left, top, right, bottom, in pixels of the source counted from its edge) in pixels of the result.

    What lies outside the frame is cut off a turned box first; what is left becomes the upright box around it. (The
    other way round, slivers would be left that show nothing of the box.) Left out is a box of which less than
    `min_visible` of the area is in the frame, or nothing. Returns the boxes that are left, and which those are.
    """
    height, width = result_size
    frame = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    corners = boxes[:, [[0, 1], [2, 1], [2, 3], [0, 3]]] - 0.5  # edges lie half a pixel from centers
    moved = (corners - matrix[:, 2]) @ np.linalg.inv(matrix[:, :2]).T + 0.5
    result, kept = np.empty((len(boxes), 4)), np.zeros(len(boxes), np.bool_)
    for number, outline in enumerate(moved.astype(np.float32)):
        area, inside = cv2.intersectConvexConvex(outline, frame)
        if area > 0 and area >= min_visible * cv2.contourArea(outline):
            result[number] = *inside.min((0, 1)), *inside.max((0, 1))
            kept[number] = True
    return result[kept], kept


def kernels(draws: Draws) -> NDArray[np.float32]:
    """(films, taps): the Gaussian that blurs each film along either side; all have the taps of the widest."""
    reach = math.ceil(3 * draws.augmentation.blur)
    distance = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (distance / np.maximum(draws.blur, 1e-3)[:, None]) ** 2)
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def grade(levels: Levels, mean: Levels, contrast: Levels, brightness: Levels, gamma: Levels) -> Levels:
    """Grey levels (whole numbers, as floats) after contrast about the film's mean, brightness and gamma."""
    levels = ((levels - mean) * contrast + mean).clip(0, 255)
    levels = (levels * brightness).clip(0, 255)
    levels = (levels / 255) ** gamma
    return (levels * 255).round()


def grain(seed: int, pixels: int) -> NDArray[np.float32]:
    """The noise of a run, of deviation 1; each film takes as many in a row as it has pixels, from where it was told."""
    random = np.random.Generator(np.random.Philox(seed % 2**64))
    return random.standard_normal(GRAIN_OFFSETS + pixels, np.float32)
