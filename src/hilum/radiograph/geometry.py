"""How a film of any size becomes a picture of one size: the same for training, judging and predicting.

NumPy and Pillow only, because a model file is used where nothing else is installed.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

Mode = Literal["squash", "fit", "crop"]
MODES: tuple[Mode, ...] = ("squash", "fit", "crop")
SIDES, KEPT = (8, 4096), (0.1, 1)  # from, to: sides in pixels, and the share that is looked at


class Placement(NamedTuple):
    """Which part of the film lands where: (left, top, right, bottom), in pixels of the film and of the result."""

    film: tuple[float, float, float, float]
    result: tuple[int, int, int, int]


def sides_of(corners: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes as left, top, width, height, from (n, 4) as left, top, right, bottom."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)


def corners_of(sides: NDArray[np.float64]) -> NDArray[np.float64]:
    """Boxes as left, top, right, bottom, from (n, 4) as left, top, width, height."""
    return np.concatenate([sides[:, :2], sides[:, :2] + sides[:, 2:]], axis=1)


@dataclass(frozen=True, slots=True)
class Geometry:
    """`squash` ignores the aspect ratio, `fit` keeps it and pads with black, `crop` keeps it and cuts what overhangs.

    `keep` is the share of the film's width and height, around the center, that is looked at.
    """

    mode: Mode
    height: int
    width: int
    keep: float = 1.0

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"geometry {self.mode}: one of {', '.join(MODES)}")
        if not all(SIDES[0] <= side <= SIDES[1] for side in (self.height, self.width)):
            raise ValueError(f"geometry of {self.height} x {self.width}: sides run from {SIDES[0]} to {SIDES[1]}")
        if not KEPT[0] <= self.keep <= KEPT[1]:
            raise ValueError(f"geometry that keeps {self.keep:g} of the film: from {KEPT[0]:g} to {KEPT[1]:g}")

    def __str__(self) -> str:
        kept = f", central {self.keep:g}" if self.keep < 1 else ""
        return f"{self.mode} {self.height}x{self.width}{kept}"

    @property
    def at_least(self) -> int:
        """The smallest side that a film may be decoded to without losing detail of the result."""
        return math.ceil(max(self.height, self.width) / self.keep)

    def place(self, height: int, width: int) -> Placement:
        """Where a film of this size goes."""
        kept_width, kept_height = width * self.keep, height * self.keep
        left, top, right, bottom = 0, 0, self.width, self.height
        if self.mode == "crop":
            scale = max(self.width / kept_width, self.height / kept_height)
            kept_width, kept_height = self.width / scale, self.height / scale
        elif self.mode == "fit":
            scale = min(self.width / kept_width, self.height / kept_height)
            shown_width = min(max(round(kept_width * scale), 1), self.width)
            shown_height = min(max(round(kept_height * scale), 1), self.height)
            left, top = (self.width - shown_width) // 2, (self.height - shown_height) // 2
            right, bottom = left + shown_width, top + shown_height
        x, y = max((width - kept_width) / 2, 0), max((height - kept_height) / 2, 0)  # rounding may fall below 0
        film = (x, y, min(x + kept_width, width), min(y + kept_height, height))
        return Placement(film, (left, top, right, bottom))

    def apply(self, pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
        """The film at this geometry, as 256 grey levels, scaled with an antialiasing triangle filter."""
        placement = self.place(*pixels.shape)
        levels = np.rint(pixels * np.float32(255)).astype(np.uint8)
        left, top, right, bottom = placement.result
        part = Image.fromarray(levels).resize(
            (right - left, bottom - top), Image.Resampling.BILINEAR, box=placement.film, reducing_gap=3.0
        )
        if part.size == (self.width, self.height):
            return np.asarray(part)
        result = np.zeros((self.height, self.width), np.uint8)
        result[top:bottom, left:right] = np.asarray(part)
        return result

    def boxes_to_result(self, boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
        """Boxes (x, y, width, height as fractions of the film) as fractions of the result, not clipped."""
        film, result = self._in_fractions(height, width)
        scale = (result[2:] - result[:2]) / (film[2:] - film[:2])
        return np.concatenate([(boxes[:, :2] - film[:2]) * scale + result[:2], boxes[:, 2:] * scale], axis=1)

    def boxes_to_film(self, boxes: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
        """The way back: boxes as fractions of the result become fractions of a film of this size."""
        film, result = self._in_fractions(height, width)
        scale = (film[2:] - film[:2]) / (result[2:] - result[:2])
        return np.concatenate([(boxes[:, :2] - result[:2]) * scale + film[:2], boxes[:, 2:] * scale], axis=1)

    def _in_fractions(self, height: int, width: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        placement = self.place(height, width)
        film = np.array(placement.film) / [width, height, width, height]
        return film, np.array(placement.result) / [self.width, self.height, self.width, self.height]


def parse_size(text: str) -> tuple[int, int]:
    """Height and width from what a user types: 224, or 256x300 (height first)."""
    if not (match := re.fullmatch(r"(\d{1,4})(?:x(\d{1,4}))?", text.strip())):
        raise ValueError(f"size {text}: write 224, or height x width as in 256x300")
    height, width = match.groups()
    return int(height), int(width or height)
