"""What every later stage works on: comparable pixels and the little that is known of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from io import BytesIO
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

SHOWN = 640  # pixels of the longer side in a notebook
LATERAL_VIEWS = frozenset({"LL", "RL", "LATERAL"})


class ReadWarning(NamedTuple):
    """Something about the file that a user may want to act on; the film was read all the same."""

    code: str
    detail: str


@dataclass(frozen=True, slots=True, eq=False)
class Radiograph:
    """One film, and nothing that names a patient.

    `pixels` are float32 in [0, 1], bright = dense, upright. `height` and `width` are those of the upright film before
    any reduction asked for with `at_least`; `pixel_spacing` (mm between rows, between columns) belongs to that full
    size. `turn` is the EXIF code (1 to 8) of the turn that made the stored picture upright, so that a place on it can
    be found again in the file. `age` is the patient's in years where a DICOM header states it: it chooses among
    thresholds and is shown nowhere.

    >>> film = hilum.read("film.png")
    >>> film.pixels.shape == (film.height, film.width)
    True
    >>> film.view is None, film.warnings
    (True, ())
    """

    pixels: NDArray[np.float32]
    format: Literal["jpeg", "png", "dicom", "array", "image"]
    encoding: str
    mode: str
    bits: int
    height: int
    width: int
    pixel_spacing: tuple[float, float] | None = None
    view: str | None = None
    laterality: str | None = None
    turn: int = 1
    colorfulness: float = 0.0
    warnings: tuple[ReadWarning, ...] = ()
    age: float | None = field(default=None, repr=False)

    @property
    def lateral(self) -> bool:
        """Whether the header says that this is a view from the side; a decubitus film (LLD, RLD) is not."""
        return self.view in LATERAL_VIEWS

    def inverted(self) -> Radiograph:
        """The film with black and white exchanged, which says so."""
        done = ReadWarning("inverted", "black and white were exchanged, as asked")
        return replace(self, pixels=1 - self.pixels, warnings=(*self.warnings, done))

    def _repr_png_(self) -> bytes:
        """The film as a notebook shows it, its longer side no longer than a page is wide."""
        from PIL import Image  # who only decides on films does not wait for it

        picture = Image.fromarray(np.rint(self.pixels * 255).astype(np.uint8))
        picture.thumbnail((SHOWN, SHOWN))
        encoded = BytesIO()
        picture.save(encoded, "PNG")
        return encoded.getvalue()

    def describe(self) -> dict[str, Any]:
        """What is known of the film, as plain data for JSON: everything but its pixels and the patient's age."""
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
            "turn": self.turn,
            "colorfulness": round(self.colorfulness, 4),
            "warnings": [warning._asdict() for warning in self.warnings],
        }
