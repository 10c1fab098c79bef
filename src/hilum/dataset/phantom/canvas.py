"""The plane a phantom is drawn on: shapes in centimeters of the body become maps of pixels.

The origin is the midline at the level of the lung apices; x grows to the patient's left (the viewer's right), y down.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

Map = NDArray[np.float32]
Points = NDArray[np.float64]

CIRCLE = np.column_stack([np.cos(np.linspace(0, 2 * np.pi, 25)), np.sin(np.linspace(0, 2 * np.pi, 25))])[:-1]
SUBPIXEL_BITS = 4  # cv2 draws at sixteenths of a pixel


def rounded(points: ArrayLike, closed: bool = True, cuts: int = 3) -> Points:
    """A smooth curve from a few control points, by cutting corners (Chaikin). An open curve keeps its ends."""
    curve = np.asarray(points, np.float64)
    for _ in range(cuts):
        following = np.roll(curve, -1, axis=0) if closed else curve[1:]
        current = curve if closed else curve[:-1]
        cut = np.empty((2 * len(current), 2))
        cut[0::2] = 0.75 * current + 0.25 * following
        cut[1::2] = 0.25 * current + 0.75 * following
        curve = cut if closed else np.vstack([curve[:1], cut, curve[-1:]])
    return curve


def ellipse(x: float, y: float, wide: float, tall: float) -> Points:
    """The outline of an ellipse about (x, y), half as wide as `wide` says."""
    return np.asarray(CIRCLE * [wide, tall] + np.array((x, y)), np.float64)


def band(line: Points, half_width: ArrayLike) -> Points:
    """The outline of a strip along a line; the width may change along it."""
    along = np.concatenate([line[1:2] - line[:1], line[2:] - line[:-2], line[-1:] - line[-2:-1]])
    normal = np.column_stack([-along[:, 1], along[:, 0]]) / np.maximum(np.hypot(*along.T), 1e-9)[:, None]
    offset = normal * np.broadcast_to(np.asarray(half_width, np.float64), len(line))[:, None]
    return np.vstack([line + offset, (line - offset)[::-1]])


@dataclass(frozen=True, slots=True)
class Canvas:
    """A film's frame: `to_pixels` maps centimeters to pixels, `x` and `y` are the centimeters at every pixel."""

    height: int
    width: int
    scale: float  # pixels per centimeter
    to_pixels: NDArray[np.float64]
    x: Map
    y: Map

    @classmethod
    def framed(cls, height: int, width: int, scale: float, center: tuple[float, float], degrees: float) -> Canvas:
        """`center` in centimeters comes to the middle of the frame, the body leans by `degrees`."""
        turn = np.deg2rad(degrees)
        linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
        middle = np.array([width / 2, height / 2])
        back = np.linalg.inv(linear)
        columns = (np.arange(width) - middle[0]).astype(np.float32)[None, :]
        rows = (np.arange(height) - middle[1]).astype(np.float32)[:, None]
        x = np.float32(back[0, 0]) * columns + np.float32(back[0, 1]) * rows + np.float32(center[0])
        y = np.float32(back[1, 0]) * columns + np.float32(back[1, 1]) * rows + np.float32(center[1])
        to_pixels = np.column_stack([linear, middle - linear @ np.asarray(center)])
        return cls(height, width, scale, to_pixels, x, y)

    def blank(self) -> NDArray[np.uint8]:
        """A mask of the frame with nothing on it."""
        return np.zeros((self.height, self.width), np.uint8)

    def pixels(self, points: Points) -> NDArray[np.int32]:
        """Points in centimeters (any shape that ends in 2) as cv2's fixed-point pixels."""
        moved = points @ self.to_pixels[:, :2].T + self.to_pixels[:, 2]
        return np.round(moved * (1 << SUBPIXEL_BITS)).astype(np.int32)

    def fill(self, onto: NDArray[np.uint8], outline: Points, level: int = 255) -> None:
        """Fill an outline, in centimeters, with smooth edges."""
        cv2.fillPoly(onto, [self.pixels(outline)], level, cv2.LINE_AA, SUBPIXEL_BITS)

    def stroke(self, onto: NDArray[np.uint8], lines: Points, centimeters: float, level: int = 255) -> None:
        """One line (n, 2) or many of the same length (m, n, 2), of one width."""
        fixed = self.pixels(lines)
        several = list(fixed) if fixed.ndim == 3 else [fixed]
        width = max(1, round(centimeters * self.scale))
        cv2.polylines(onto, several, False, level, width, cv2.LINE_AA, SUBPIXEL_BITS)

    def depth_inside(self, *outlines: Points) -> Map:
        """How many centimeters every pixel lies inside the union of the outlines; 0 outside."""
        mask = self.blank()
        for outline in outlines:
            self.fill(mask, outline)
        inside = (mask > 127).astype(np.uint8)
        distance: Map = cv2.distanceTransform(inside, cv2.DIST_L2, 5).astype(np.float32, copy=False)
        return distance / np.float32(self.scale)

    def soften(self, picture: Map | NDArray[np.uint8], centimeters: float) -> Map:
        """Gaussian blur. A wide one is done on a small copy, where it costs little."""
        values = picture.astype(np.float32, copy=False)
        sigma = centimeters * self.scale
        shrink = int(max(1, sigma // 3))
        if shrink == 1:
            return np.asarray(cv2.GaussianBlur(values, (0, 0), max(sigma, 0.3)), np.float32)
        size = (max(8, self.width // shrink), max(8, self.height // shrink))
        small = cv2.GaussianBlur(cv2.resize(values, size, interpolation=cv2.INTER_AREA), (0, 0), sigma / shrink)
        return np.asarray(cv2.resize(small, (self.width, self.height), interpolation=cv2.INTER_LINEAR), np.float32)

    def clouds(self, rng: np.random.Generator, period: float) -> Map:
        """A smooth random field of mean 0 and deviation of about 1, with features of `period` centimeters."""
        cells = (
            max(3, round(self.height / self.scale / period) + 2),
            max(3, round(self.width / self.scale / period) + 2),
        )
        coarse = rng.standard_normal(cells, np.float32) * np.float32(1.35)  # interpolation takes a part of the variance
        return np.asarray(cv2.resize(coarse, (self.width, self.height), interpolation=cv2.INTER_CUBIC), np.float32)


def rounded_depth(inside: Map, thickness: float, reach: float) -> Map:
    """The beam's path through a rounded body: steep at its rim, `thickness` from `reach` centimeters inward."""
    rim = 1 - np.minimum(inside * np.float32(1 / reach), np.float32(1))
    return np.asarray(thickness * np.sqrt(np.maximum(1 - rim * rim, np.float32(0))), np.float32)
