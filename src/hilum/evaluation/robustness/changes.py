"""What is done to films: how they may come out otherwise than those of training.

Blur and noise are meant at the size that a network sees, SIDE pixels, so that they do the same to films of any size.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.radiograph import Radiograph

Pixels = NDArray[np.float32]
SIDE = 224
FILTERS = {name: Image.Resampling[name.upper()] for name in ("nearest", "box", "bilinear", "bicubic", "lanczos")}


class Change(NamedTuple):
    """`make` takes a film, a strength, and a number that chance begins with. At strength `neutral` nothing changes."""

    name: str
    unit: str
    neutral: float | None  # None where strengths are words
    strengths: tuple[float, ...] | tuple[str, ...]
    make: Callable[..., NDArray[Any]]


def changed(change: Change, strength: float | str, film: Radiograph, number: int) -> Radiograph:
    """The film as it comes out; chance begins with `number`, so that the same film gets the same grain."""
    pixels = np.clip(change.make(film.pixels, strength, number), 0, 1).astype(np.float32)
    return replace(film, pixels=np.ascontiguousarray(pixels), height=pixels.shape[0], width=pixels.shape[1])


def _blurred(pixels: Pixels, sigma: float, _: int) -> NDArray[Any]:
    height, width = pixels.shape
    return cv2.GaussianBlur(pixels, (0, 0), sigmaX=sigma * width / SIDE, sigmaY=sigma * height / SIDE)


def _noisy(pixels: Pixels, deviation: float, number: int) -> NDArray[Any]:
    height, width = pixels.shape
    grain = np.random.default_rng((1, number)).standard_normal(pixels.shape, np.float32)
    return pixels + grain * np.float32(deviation * np.sqrt(height * width) / SIDE)


def as_jpeg(pixels: Pixels, quality: int, _: int) -> NDArray[Any]:
    """Through a JPEG of this quality and back."""
    written = BytesIO()
    Image.fromarray(_levels(pixels)).save(written, "JPEG", quality=int(quality))
    return np.asarray(Image.open(written), np.float32) / 255


def _rotated(pixels: Pixels, degrees: float, _: int) -> NDArray[Any]:
    height, width = pixels.shape
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    return cv2.warpAffine(pixels, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def _cropped(pixels: Pixels, keep: float, _: int) -> NDArray[Any]:
    top, left = (round(side * (1 - keep) / 2) for side in pixels.shape)
    return pixels[top : pixels.shape[0] - top, left : pixels.shape[1] - left]


def _smaller(pixels: Pixels, side: float, _: int) -> NDArray[Any]:
    return _resized(pixels, int(side), Image.Resampling.BILINEAR)


def _by_filter(pixels: Pixels, name: str, _: int) -> NDArray[Any]:
    return _resized(pixels, SIDE, FILTERS[name])


def _resized(pixels: Pixels, side: int, by: Image.Resampling) -> NDArray[Any]:
    return np.asarray(Image.fromarray(_levels(pixels)).resize((side, side), by), np.float32) / 255


def _bars_beside(pixels: Pixels, share: float, _: int) -> NDArray[Any]:
    bar = round(pixels.shape[1] * (1 / share - 1) / 2)
    return np.pad(pixels, ((0, 0), (bar, bar)))


def _bars_above(pixels: Pixels, share: float, _: int) -> NDArray[Any]:
    bar = round(pixels.shape[0] * (1 / share - 1) / 2)
    return np.pad(pixels, ((bar, bar), (0, 0)))


def _marked(pixels: Pixels, share: float, _: int) -> NDArray[Any]:
    """A side marker and a time, white, in the corner at the top left."""
    picture, height = Image.fromarray(_levels(pixels)), pixels.shape[0]
    font = ImageFont.load_default(max(share * height, 1))
    ImageDraw.Draw(picture).text((0.02 * height, 0.02 * height), "R 10:52", fill=255, font=font)
    return np.asarray(picture, np.float32) / 255


def _turned(pixels: Pixels, how: str, _: int) -> NDArray[Any]:
    if how == "inverted":
        return np.float32(1) - pixels
    if how == "mirrored":
        return pixels[:, ::-1]
    return np.rot90(pixels, {"90": -1, "180": 2, "270": 1}[how])


def _levels(pixels: Pixels) -> NDArray[np.uint8]:
    return np.rint(pixels * 255).astype(np.uint8)


CHANGES = (
    Change("brightness", "added, of black to white", 0, (-0.3, -0.2, -0.1, 0.1, 0.2, 0.3), lambda x, s, _: x + s),
    Change("contrast", "factor", 1, (0.4, 0.6, 0.8, 1.25, 1.5, 2.0), lambda x, s, _: (x - x.mean()) * s + x.mean()),
    Change("gamma", "exponent", 1, (0.5, 0.7, 0.85, 1.2, 1.5, 2.0), lambda x, s, _: x**s),
    Change("blur", f"sigma, pixels of {SIDE}", 0, (0.4, 0.5, 0.6, 0.75, 1.0, 1.5, 2.0), _blurred),
    Change("smaller copy", "pixels a side", SIDE, (192, 160, 128, 96, 64), _smaller),
    Change("noise", f"deviation, at {SIDE} pixels", 0, (0.01, 0.02, 0.04, 0.08, 0.12), _noisy),
    Change("JPEG", "quality", 100, (90, 70, 50, 30, 20, 10), as_jpeg),
    Change("rotation", "degrees clockwise", 0, (-15, -10, -5, -2, 2, 5, 10, 15), _rotated),
    Change("crop", "share of each side kept", 1, (0.97, 0.94, 0.9, 0.85, 0.8, 0.7), _cropped),
    Change("bars at the sides", "share that is film", 1, (0.95, 0.9, 0.8, 0.7, 0.6), _bars_beside),
    Change("bars above and below", "share that is film", 1, (0.95, 0.9, 0.8, 0.7, 0.6), _bars_above),
    Change("marker in a corner", "height of letters, of film", 0, (0.04, 0.08, 0.12, 0.16, 0.2), _marked),
    Change("resizing filter", f"to {SIDE} pixels", None, tuple(FILTERS), _by_filter),
    Change("orientation", "degrees clockwise", None, ("mirrored", "90", "180", "270", "inverted"), _turned),
)
