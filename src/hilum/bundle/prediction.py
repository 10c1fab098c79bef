"""A Prediction: what a Bundle says of one film, as a small typed object."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum.radiograph import ReadWarning
from hilum.radiograph.geometry import Geometry

RESEARCH_USE = "Research use only, not a medical device."
Decision = Literal["pneumonia", "no_pneumonia", "abstain"]


class Box(NamedTuple):
    """Where something was found: left, top, width and height as fractions of the film.

    `score` is how likely the box overlaps a true one by more than half, as validation says.
    """

    x: float
    y: float
    width: float
    height: float
    score: float
    label: str


class Verdict(NamedTuple):
    """What the gate says: whether this looks like an upright frontal chest film. `passed` is None where not asked.

    `reason` is a word that programs may switch on, `detail` a sentence for people, `distance` how far the film lies
    from the training films (above 1 is too far).
    """

    passed: bool | None
    reason: str | None = None
    detail: str | None = None
    distance: float | None = None


NOT_ASKED = Verdict(None)


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a Bundle says of one film.

    `probability` is that of pneumonia, the sum over the classes that mean it. When the gate turns the film away,
    `decision` is "abstain" and there are no probabilities; when the file cannot be read, `error` says why and
    `decision` is None. `heatmap` is the evidence for pneumonia over the bundle's view of the film, in the units of the
    network: positive speaks for it, negative against. `boxes` are a detector's from `box_threshold` on, the best first.
    `height` and `width` are those of the film.
    """

    path: str | None
    decision: Decision | None
    threshold: float
    operating_point: str | None  # None with a threshold of the user's own
    probability: float | None = None
    probabilities: dict[str, float] | None = None
    gate: Verdict = NOT_ASKED
    heatmap: NDArray[np.float32] | None = None
    geometry: Geometry | None = None
    boxes: tuple[Box, ...] = ()
    box_threshold: float | None = None  # None where the bundle draws no boxes
    height: int | None = None
    width: int | None = None
    warnings: tuple[ReadWarning, ...] = ()
    error: str | None = None
    research_use: str = RESEARCH_USE

    def heatmap_on_film(self, height: int, width: int) -> NDArray[np.float32]:
        """The heatmap laid over the film, drawn at this size; 0 where the network did not look."""
        if self.heatmap is None or self.geometry is None:
            raise ValueError("this prediction has no heatmap")
        film, result = self.geometry.place(height, width)
        rows, columns = self.heatmap.shape
        scale = (columns / self.geometry.width, rows / self.geometry.height)
        seen = (result[0] * scale[0], result[1] * scale[1], result[2] * scale[0], result[3] * scale[1])
        left, top, right, bottom = (round(side) for side in film)
        size = (max(right - left, 1), max(bottom - top, 1))
        laid = np.zeros((height, width), np.float32)
        evidence = Image.fromarray(self.heatmap).resize(size, Image.Resampling.BILINEAR, box=seen)
        laid[top : top + size[1], left : left + size[0]] = np.asarray(evidence)
        return laid

    def to_dict(self) -> dict[str, Any]:
        """Everything but the heatmap, as plain data for JSON; boxes are in pixels of the film as it was given."""
        height, width = self.height or 0, self.width or 0
        return {
            "file": self.path,
            "decision": self.decision,
            "probability": _rounded(self.probability),
            "probabilities": {name: _rounded(value) for name, value in self.probabilities.items()}
            if self.probabilities
            else None,
            "operating_point": self.operating_point,
            "threshold": _rounded(self.threshold),
            "gate": {**self.gate._asdict(), "distance": _rounded(self.gate.distance)},
            "boxes": [
                {
                    "x": round(box.x * width, 3),
                    "y": round(box.y * height, 3),
                    "width": round(box.width * width, 3),
                    "height": round(box.height * height, 3),
                    "score": _rounded(box.score),
                    "label": box.label,
                }
                for box in self.boxes
            ],
            "box_threshold": _rounded(self.box_threshold),
            "height": self.height,
            "width": self.width,
            "warnings": [warning._asdict() for warning in self.warnings],
            "error": self.error,
            "research_use": self.research_use,
        }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
