"""A NumPy array becomes a Radiograph: pixels as displayed, bright = dense."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum.radiograph.bounds import check_size
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.radiograph import Radiograph, ReadWarning


def read_array(array: NDArray[Any], bits: int | None, max_megapixels: float) -> Radiograph:
    """The film in an array of rows and columns, or of 8-bit red, green and blue, which are turned grey.

    Unsigned integers run over their type's whole range or over `bits` bits, floats from 0 to 1. Signed integers are no
    grey levels by themselves, so these need `bits`.
    """
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.ndim == 3 and array.shape[2] == 3 and array.dtype == np.uint8 and bits is None:
        return _read_color(array, max_megapixels)
    if array.ndim != 2:
        raise ReadError(
            Reason.NOT_AN_IMAGE,
            f"a {array.dtype} array of shape {array.shape}; a film has rows and columns, or 8-bit red, green and blue",
        )
    limit = _full_brightness(array.dtype, bits)
    if array.size == 0:
        raise ReadError(Reason.EMPTY, f"an array of shape {array.shape} has no pixels")
    height, width = array.shape
    check_size(width, height, max_megapixels)
    check_range(array, limit)
    levels = array.dtype.kind != "f"
    return Radiograph(
        pixels=unit_floats(array, limit),
        format="array",
        encoding="NumPy array",
        mode=str(array.dtype),
        bits=limit.bit_length() if levels else 8 * array.dtype.itemsize,
        height=height,
        width=width,
        warnings=_shallow(array.dtype, int(array.max())) if levels and bits is None else (),
    )


def check_range(levels: NDArray[Any], highest: int) -> None:
    """Values that nothing says how to show are refused; guessing would change what a network sees."""
    found = levels.min(), levels.max()
    if not (found[0] >= 0 and found[1] <= highest):  # NaN is neither
        raise ReadError(
            Reason.OUT_OF_RANGE,
            f"values from {found[0]:g} to {found[1]:g}, where 0 is black and {highest} white; scale them to that",
        )


def unit_floats(levels: NDArray[Any], highest: int) -> NDArray[np.float32]:
    """Levels from 0 to `highest` as floats from 0 to 1, in memory of their own."""
    pixels = levels.astype(np.float32, order="C")
    if highest != 1:
        pixels *= np.float32(1 / highest)  # in place: faster than a multiplication that also casts
    return pixels


def depth_in_use(highest: int) -> int:
    """The smallest usual bit depth that holds `highest`: detectors of 10 to 14 bits are stored in 16-bit words."""
    return next(bits for bits in (8, 10, 12, 14, 16, 32, 64) if highest < 2**bits)


def _full_brightness(dtype: np.dtype[Any], bits: int | None) -> int:
    """The value that is shown white, which follows from the type and not from what an array happens to hold."""
    if dtype.kind == "f":
        if bits is not None:
            raise TypeError(f"bits={bits} with a {dtype} array: floats run from 0 to 1 without it")
        return 1
    if dtype.kind not in "ui":
        raise TypeError(f"a {dtype} array is no film; give unsigned integers, or floats from 0 to 1")
    if dtype.kind == "i" and bits is None:
        raise TypeError(f"an {dtype} array: signed integers are no grey levels; say with bits= how many bits count")
    most = 8 * dtype.itemsize - (dtype.kind == "i")
    if bits is not None and not 1 <= bits <= most:
        raise ValueError(f"bits={bits} with an array of {dtype}, which holds 1 to {most}")
    return int(2 ** (bits or most) - 1)


def _shallow(dtype: np.dtype[Any], highest: int) -> tuple[ReadWarning, ...]:
    if (used := depth_in_use(highest)) == 8 * dtype.itemsize:
        return ()
    detail = f"a {dtype} array whose values fit {used} bits, shown over all; give bits={used} if it has no more"
    return (ReadWarning("shallow_levels", detail),)


def _read_color(array: NDArray[np.uint8], max_megapixels: float) -> Radiograph:
    from PIL.Image import fromarray  # only who has color needs Pillow here

    from hilum.radiograph.raster import read_image

    return replace(read_image(fromarray(array), max_megapixels), format="array", encoding="NumPy array")
