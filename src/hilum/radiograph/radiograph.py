"""What every later stage works on: comparable pixels and the little that is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray


class ReadWarning(NamedTuple):
    """Something about the file that a user may want to act on; the film was read all the same."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One film, free of patient data.

    `pixels` are float32 in [0, 1], bright = dense, upright. `height` and `width` are those of the upright film before
    any reduction asked for with `at_least`; `pixel_spacing` (mm between rows, between columns) belongs to that full
    size. `turned` is the EXIF code (1 to 8) of the turn that made the stored picture upright, so that a place on it
    can be found again in the file.
    """

    pixels: NDArray[np.float32]
    format: Literal["jpeg", "png", "dicom"]
    encoding: str
    mode: str
    bits: int
    height: int
    width: int
    pixel_spacing: tuple[float, float] | None = None
    view: str | None = None
    laterality: str | None = None
    turned: int = 1
    colorfulness: float = 0.0
    warnings: tuple[ReadWarning, ...] = ()

    def describe(self) -> dict[str, Any]:
        """Everything but the pixels, as plain data for JSON."""
        return {
            "format": self.format,
            "encoding": self.encoding,
            "mode": self.mode,
            "bits": self.bits,
            "height": self.height,
            "width": self.width,
            "pixel_spacing": list(self.pixel_spacing) if self.pixel_spacing else None,
            "view": self.view,
            "laterality": self.laterality,
            "turned": self.turned,
            "colorfulness": round(self.colorfulness, 4),
            "warnings": [warning._asdict() for warning in self.warnings],
        }
