"""DICOM's grayscale pipeline: stored value -> modality LUT -> VOI LUT or window -> MONOCHROME1 inversion.

The pipeline is evaluated once for each value that can be stored (256 or 65,536) and looked up for each pixel, which is
exact and several times faster than computing it on every pixel in floating point.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

STRETCH_PERCENTILES = (0.5, 99.5)
BLOCK = 1 << 18


@dataclass(frozen=True, slots=True)
class LookupTable:
    """A LUT as DICOM stores it: values below `first` map to the first entry, values past the end to the last."""

    first: int
    bits: int
    entries: NDArray[np.uint16]

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The entry for each value."""
        index = np.clip(np.rint(values) - self.first, 0, len(self.entries) - 1)
        return np.asarray(self.entries[index.astype(np.int64)], np.float64)

    @property
    def highest(self) -> int:
        """The output that means full brightness. A LUT that declares 16 bits but holds 12 is a known vendor slip."""
        largest = int(self.entries.max())
        declared: int = 2**self.bits - 1
        if largest > declared or (self.bits == 16 and largest < 4096):
            return max(int(2 ** largest.bit_length() - 1), 1)
        return declared


@dataclass(frozen=True, slots=True)
class Window:
    """The range of values that is spread over black to white, and how."""

    center: float
    width: float
    function: str = "LINEAR"

    @property
    def is_valid(self) -> bool:
        """Whether it can be applied; files hold widths of 0, negative ones and texts instead of numbers."""
        smallest = 1.0 if self.function == "LINEAR" else 0.0
        return math.isfinite(self.center) and math.isfinite(self.width) and self.width >= smallest and self.width > 0

    def apply(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Values in [0, 1] as PS3.3 C.11.2.1.2 and C.11.2.1.3 define them."""
        if self.function == "SIGMOID":
            exponent = np.clip(-4 * (values - self.center) / self.width, -700, 700)
            return 1 / (1 + np.exp(exponent))
        if self.function == "LINEAR_EXACT":
            return np.clip((values - self.center) / self.width + 0.5, 0, 1)
        if self.width == 1:
            return (values > self.center - 0.5).astype(np.float64)
        return np.clip((values - (self.center - 0.5)) / (self.width - 1) + 0.5, 0, 1)


@dataclass(frozen=True, slots=True)
class Pipeline:
    """All that decides how a stored value is shown."""

    bits: int
    signed: bool
    inverted: bool
    modality: LookupTable | None = None
    slope: float = 1.0
    intercept: float = 0.0
    voi: LookupTable | Window | None = None
    padding: int | None = None

    def render(self, stored: NDArray[np.unsignedinteger]) -> tuple[NDArray[np.float32], bool]:
        """Pixels in [0, 1], and whether a window or LUT was followed (else the values were stretched)."""
        values = self._values(2 ** (8 * stored.dtype.itemsize))
        if self.voi is not None:
            shown = self._look_up(stored, self._shown(values))
            if shown.min() < shown.max():  # a window beside all values would show one grey level
                return shown, True
        return self._look_up(stored, self._stretched(values, stored)), False

    def _values(self, count: int) -> NDArray[np.float64]:
        """What each storable value stands for: unused high bits dropped, sign extended, modality applied."""
        # High bits beyond BitsStored held overlays once, and hold noise in some files.
        values = np.arange(count, dtype=np.int64) & (2**self.bits - 1)
        if self.signed:
            values = np.where(values >= 2 ** (self.bits - 1), values - 2**self.bits, values)
        if self.modality is not None:
            return self.modality.apply(values.astype(np.float64))
        return np.asarray(values * self.slope + self.intercept, np.float64)

    def _shown(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        if isinstance(self.voi, LookupTable):
            return np.clip(self.voi.apply(values) / self.voi.highest, 0, 1)
        assert self.voi is not None
        return self.voi.apply(values)

    def _stretched(self, values: NDArray[np.float64], stored: NDArray[np.unsignedinteger]) -> NDArray[np.float64]:
        counts = _histogram(stored)
        # Padding is what a detector never saw; it would pull the stretch towards itself.
        if self.padding is not None:
            padded = np.arange(len(counts)) & (2**self.bits - 1) == self.padding & (2**self.bits - 1)
            if counts[~padded].sum() > 0:
                counts[padded] = 0
        order = np.argsort(values, kind="stable")
        cumulated = np.cumsum(counts[order])
        ranks = [percentile / 100 * (cumulated[-1] - 1) for percentile in STRETCH_PERCENTILES]
        low, high = values[order][np.searchsorted(cumulated, ranks, side="right")]
        if low == high:
            present = values[counts > 0]
            low, high = present.min(), present.max()
        if low == high:
            return np.zeros_like(values)
        return np.asarray(np.clip((values - low) / (high - low), 0, 1), np.float64)

    def _look_up(self, stored: NDArray[np.unsignedinteger], shown: NDArray[np.float64]) -> NDArray[np.float32]:
        table = (1 - shown if self.inverted else shown).astype(np.float32)
        shape, stored = stored.shape, stored.reshape(-1)
        pixels = np.empty(stored.size, np.float32)
        for block in _blocks(stored.size):
            np.take(table, stored[block], out=pixels[block], mode="clip")
        return pixels.reshape(shape)


def _blocks(size: int) -> Iterator[slice]:
    """NumPy widens indices to 64 bits; block by block this stays in the cache instead of quadrupling memory."""
    for start in range(0, size, BLOCK):
        yield slice(start, start + BLOCK)


def _histogram(stored: NDArray[np.unsignedinteger]) -> NDArray[np.int64]:
    size = 2 ** (8 * stored.dtype.itemsize)
    flat = stored.reshape(-1)
    counts = np.zeros(size, np.int64)
    for block in _blocks(flat.size):
        counts += np.bincount(flat[block], minlength=size)
    return counts
