"""A film's grey values for those who show it, as bytes."""

from __future__ import annotations

import json

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.radiograph import Radiograph, ReadError, read
from hilum.service.films.served import FAILED, Answer

SHOWN, WHITE = "shown", 65535


def show(film: str | bytes, longest: int) -> Answer:
    """The film upright as uint16, little-endian, 0 black and 65,535 white, and what is known of it."""
    try:
        radiograph = read(film, at_least=longest)
    except ReadError as error:
        return Answer(b"", FAILED, error.reason, error.detail, (b"",))
    pixels = _reduced(radiograph, longest)
    height, width = pixels.shape
    spacing = radiograph.pixel_spacing
    known = {
        "Width": width,
        "Height": height,
        "Full-Width": radiograph.width,
        "Full-Height": radiograph.height,
        "Bits": radiograph.bits,
        **({} if spacing is None else {"Pixel-Spacing": f"{spacing[0]:g} {spacing[1]:g}"}),
    }
    values = np.rint(pixels * np.float32(WHITE)).astype("<u2")
    return Answer(json.dumps(known).encode(), SHOWN, None, None, (values.tobytes(),))


def _reduced(radiograph: Radiograph, longest: int) -> NDArray[np.float32]:
    scale = longest / max(radiograph.height, radiograph.width)
    if scale >= 1:
        return radiograph.pixels
    size = (max(round(radiograph.width * scale), 1), max(round(radiograph.height * scale), 1))
    # of all filters that look at every pixel the one that adds no bright seam along a dark edge
    reduced = Image.fromarray(radiograph.pixels).resize(size, Image.Resampling.BILINEAR)
    return np.asarray(np.clip(np.asarray(reduced), 0, 1), np.float32)
