"""A Prediction: what a Bundle says of one film, Answered, Abstained or Failed.

Small, free of patient data and picklable, with all that a result elsewhere needs to be traced: the size of the film and
the turn that made it upright, the bundle by its digest, and hilum's version.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from hilum import __version__
from hilum.bundle.reading import Verdict
from hilum.radiograph import ReadWarning
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.patient import Patient
from hilum.system.notebook import html_table

RESEARCH_USE = "Research use only, not a medical device."
NOT_ASKED = Verdict(None)
# In the order in which JSON has them, the same ones whatever became of the film.
KEYS = (
    *("file", "decision", "finding", "probability", "probabilities", "patient_group", "operating_point", "threshold"),
    *("gate", "boxes", "box_threshold", "height", "width", "warnings", "error", "research_use", "bundle", "hilum"),
)


class PatientGroup(NamedTuple):
    """The group of patients whose calibration and threshold a film was judged by, and why it was that one.

    `by` is "asked", "dicom_age" (the age in its header, which is kept nowhere) or "network"; only of the last is there
    a `probability`, the network's own.
    """

    name: Patient
    by: Literal["asked", "dicom_age", "network"]
    probability: float | None = None


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


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Traced:
    """What every prediction says of how it came about. `model` names the bundle for people, `bundle` is its digest."""

    path: str | None
    operating_point: str | None  # None with a threshold of the user's own
    threshold: float | None  # None without an answer of a bundle whose thresholds hang on whose film it is
    box_threshold: float | None  # None where the bundle draws no boxes
    model: str
    bundle: str
    hilum: str = __version__
    research_use: ClassVar[str] = RESEARCH_USE

    def to_dict(self) -> dict[str, Any]:
        """Everything but the heatmap, as plain data for JSON; boxes are in pixels of the film, upright."""
        common: dict[str, Any] = {
            "file": self.path,
            "operating_point": self.operating_point,
            "threshold": _rounded(self.threshold),
            "gate": NOT_ASKED._asdict(),
            "boxes": [],
            "box_threshold": _rounded(self.box_threshold),
            "warnings": [],
            "research_use": self.research_use,
            "bundle": self.bundle,
            "hilum": self.hilum,
        }
        return dict.fromkeys(KEYS) | common | self._outcome()

    def to_row(self) -> dict[str, str | float | None]:
        """The same as one flat row of a table: `pandas.DataFrame(answer.to_row() for answer in answers)`.

        The columns are those of the CSV that `hilum predict` writes. Boxes are in one cell, as in the RSNA challenge:
        score, x, y, width and height of each, in pixels of the film.
        """
        return flat_row(self.to_dict())

    def _repr_html_(self) -> str:
        """What a notebook shows; the film with heatmap or boxes over it is `hilum.draw_overlay(answer, film)`."""
        rows = [
            (name, str(value)) for name, value in self.to_row().items() if value not in (None, "", self.research_use)
        ]
        return html_table(self._words(), ("", ""), rows, [self.research_use])

    def __repr__(self) -> str:
        """In a few words, as a notebook or a debugger shows it."""
        return f"{type(self).__name__}({self._words()}, {self.path!r})"

    def _outcome(self) -> dict[str, Any]:
        """What is particular to the kind of prediction."""
        raise NotImplementedError

    def _words(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class OfFilm(Traced):
    """What is known of a film that could be read: its size upright, and the EXIF code of the turn that made it so."""

    height: int
    width: int
    turn: int
    warnings: tuple[ReadWarning, ...]
    gate: Verdict

    def _film(self) -> dict[str, Any]:
        return {
            "gate": {**self.gate._asdict(), "distance": _rounded(self.gate.distance)},
            "height": self.height,
            "width": self.width,
            "warnings": [warning._asdict() for warning in self.warnings],
        }


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Answered(OfFilm):
    """A film with a probability and a decision.

    `probability` is that of pneumonia, the sum over the classes that mean it. Where a bundle cannot tell the kinds of
    pneumonia of this group of patients, `probabilities` has their sum as "pneumonia" in their place. `finding` is what
    the film shows, of a bundle that knows of others than pneumonia; `patient_group` of one that answers for children
    and for adults apart; both are None else. `heatmap` is the evidence for pneumonia
    over the bundle's view of the film, in the units of the network: positive speaks for it, negative against; `about`
    says what kind it is, or why there is none. `lungs`, of a bundle that finds them, is its mask of
    them in grey levels, 255 being lung, and 255 everywhere where it found no pair of them. `boxes` are from
    `box_threshold` on, the best first.

    >>> answer = hilum.load("model.onnx").predict("film.png")
    >>> isinstance(answer, hilum.Answered), answer.to_dict()["decision"]
    (True, 'no_pneumonia')
    >>> answer.probability == answer.probabilities["pneumonia"] < answer.threshold
    True
    """

    threshold: float
    decision: Literal["pneumonia", "no_pneumonia"]
    probability: float
    probabilities: dict[str, float]
    heatmap: NDArray[np.float32] | None
    about: str
    geometry: Geometry
    boxes: tuple[Box, ...]
    lungs: NDArray[np.uint8] | None = None
    finding: Literal["pneumonia", "other_finding", "normal"] | None = None
    patient_group: PatientGroup | None = None

    def heatmap_on_film(self, height: int, width: int) -> NDArray[np.float32]:
        """The heatmap laid over the film, drawn at this size; 0 where the network did not look."""
        if self.heatmap is None:
            raise ValueError("this prediction has no heatmap")
        return self._on_film(self.heatmap, height, width)

    def lungs_on_film(self, height: int, width: int) -> NDArray[np.float32]:
        """The mask of the lungs, from 0 to 1, laid over the film as the heatmap is."""
        if self.lungs is None:
            raise ValueError("this prediction has no mask of the lungs")
        return self._on_film(self.lungs.astype(np.float32) / np.float32(255), height, width)

    def _on_film(self, places: NDArray[np.float32], height: int, width: int) -> NDArray[np.float32]:
        film, result = self.geometry.place(height, width)
        rows, columns = places.shape
        scale = (columns / self.geometry.width, rows / self.geometry.height)
        seen = (result[0] * scale[0], result[1] * scale[1], result[2] * scale[0], result[3] * scale[1])
        left, top, right, bottom = (round(side) for side in film)
        size = (max(right - left, 1), max(bottom - top, 1))
        laid = np.zeros((height, width), np.float32)
        part = Image.fromarray(places).resize(size, Image.Resampling.BILINEAR, box=seen)
        laid[top : top + size[1], left : left + size[0]] = np.asarray(part)
        return laid

    def _outcome(self) -> dict[str, Any]:
        boxes = [
            {
                "x": round(box.x * self.width, 3),
                "y": round(box.y * self.height, 3),
                "width": round(box.width * self.width, 3),
                "height": round(box.height * self.height, 3),
                "score": _rounded(box.score),
                "label": box.label,
            }
            for box in self.boxes
        ]
        return self._film() | {
            "decision": self.decision,
            "finding": self.finding,
            "probability": _rounded(self.probability),
            "probabilities": {name: _rounded(value) for name, value in self.probabilities.items()},
            "patient_group": self.patient_group
            and {**self.patient_group._asdict(), "probability": _rounded(self.patient_group.probability)},
            "boxes": boxes,
        }

    def _words(self) -> str:
        finding = ", yet not normal" if self.finding == "other_finding" else ""
        return f"{self.decision}{finding}, probability of pneumonia {self.probability:.4f}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Abstained(OfFilm):
    """A film that the gate turned away: no probability, and `gate` says why.

    >>> answer = hilum.load("model.onnx").predict("blank.png")
    >>> isinstance(answer, hilum.Abstained), answer.decision, answer.gate.reason
    (True, 'abstain', 'blank')
    """

    decision: ClassVar[Literal["abstain"]] = "abstain"

    def _outcome(self) -> dict[str, Any]:
        return self._film() | {"decision": self.decision}

    def _words(self) -> str:
        return f"{self.gate.reason}: {self.gate.detail}"


@dataclass(frozen=True, slots=True, eq=False, kw_only=True, repr=False)
class Failed(Traced):
    """A film without an answer, mostly a file that cannot be read: `reason` for programs, `detail` for people.

    >>> (answer,) = hilum.load("model.onnx").predict(["no-film.png"])
    >>> isinstance(answer, hilum.Failed), answer.decision, answer.reason
    (True, None, 'not_an_image')
    """

    decision: ClassVar[None] = None
    reason: str
    detail: str

    @property
    def error(self) -> str:
        """Reason and detail in one line, as tables have it."""
        return f"{self.reason}: {self.detail}"

    def _outcome(self) -> dict[str, Any]:
        return {"error": self.error}

    def _words(self) -> str:
        return self.error


Prediction = Answered | Abstained | Failed


def flat_row(plain: Mapping[str, Any]) -> dict[str, str | float | None]:
    """A prediction's `to_dict`, or what JSON kept of it, as one flat row of a table."""
    gate = {True: "passed", False: "failed", None: "off"}[plain["gate"]["passed"]]
    return {
        **{name: plain[name] for name in ("file", "decision")},
        **({} if plain["finding"] is None else {"finding": plain["finding"]}),
        "probability": plain["probability"],
        **{f"p_{name}": value for name, value in (plain["probabilities"] or {}).items()},
        **_group_in_cells(plain["patient_group"]),
        **{name: plain[name] for name in ("operating_point", "threshold")},
        "gate": None if plain["error"] else gate,
        "gate_reason": plain["gate"]["reason"],
        "gate_distance": plain["gate"]["distance"],
        **{name: plain[name] for name in ("height", "width")},
        **({} if plain["box_threshold"] is None else {"boxes": _boxes_in_numbers(plain["boxes"])}),
        "warnings": "; ".join(warning["detail"] for warning in plain["warnings"]),
        **{name: plain[name] for name in ("error", "research_use", "bundle", "hilum")},
    }


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


def _group_in_cells(group: Mapping[str, Any] | None) -> dict[str, Any]:
    if group is None:
        return {}
    rest = {f"patient_group_{name}": group[name] for name in ("by", "probability")}
    return {"patient_group": group["name"], **rest}


def _boxes_in_numbers(boxes: list[Mapping[str, Any]]) -> str:
    return " ".join(f"{box[name]:g}" for box in boxes for name in ("score", "x", "y", "width", "height"))
