"""A Reading: what a bundle's network and gate say of one film, before anything is decided on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.radiograph import ReadWarning
from hilum.radiograph.patient import Patient


class Verdict(NamedTuple):
    """What the gate says: whether this looks like an upright frontal chest film. `passed` is None where not asked.

    `reason` is a word that programs may switch on, `detail` a sentence for people, `distance` how far the film lies
    from the training films (above 1 is too far).
    """

    passed: bool | None
    reason: str | None = None
    detail: str | None = None
    distance: float | None = None


class GraphOutputs(NamedTuple):
    """What the graph gives for N films, C classes and G groups of patients; None is what the bundle has none of.

    `boxes` are left, top, width and height as fractions of the picture, `scores` fall and are 0 where no box is.
    """

    probabilities: NDArray[np.float32]  # N x C, or N x G x C of a bundle with groups
    heatmaps: NDArray[np.float32] | None  # N x C x rows x columns
    features: NDArray[np.float32]  # N x F
    gate: NDArray[np.float32] | None  # N x columns, as format.py says
    boxes: NDArray[np.float32] | None = None  # N x K x 4
    scores: NDArray[np.float32] | None = None  # N x K
    lungs: NDArray[np.float32] | None = None  # N x rows x columns, from 0 to 1
    groups: NDArray[np.float32] | None = None  # N x G


@dataclass(frozen=True, slots=True, eq=False)
class Reading:
    """One film as a bundle sees it: enough to decide again and again, without its pixels and small enough to keep.

    `height` and `width` are those of the upright film, `turn` is the EXIF code of the turn that made it so, `bits` and
    `mode` are how its grey levels were stored, `grays` what they are like as the film was placed. The arrays
    are the graph's outputs for this film alone, `lungs` in 256 levels; `features` are what the network made of it
    before any answer, `gate_row` what the gate's verdict is read from. `bundle` is the digest of the bundle that read
    it. `patient_by_age` is whose film it is as the age in a DICOM header says; the age itself is not kept.

    >>> model = hilum.load("model.onnx")
    >>> reading = model.look("film.png")
    >>> [model.decide(reading, hilum.Asked(threshold=number)).decision for number in (0.1, 0.99)]
    ['pneumonia', 'no_pneumonia']
    """

    path: str | None
    height: int
    width: int
    turn: int
    warnings: tuple[ReadWarning, ...]
    gate: Verdict
    probabilities: NDArray[np.float32]  # one a class, or groups x classes
    heatmaps: NDArray[np.float32] | None  # classes x rows x columns
    boxes: NDArray[np.float32] | None
    scores: NDArray[np.float32] | None
    lungs: NDArray[np.uint8] | None  # rows x columns
    bundle: str
    features: NDArray[np.float32]
    gate_row: NDArray[np.float32] | None
    bits: int
    mode: str
    grays: tuple[float, ...]
    groups: NDArray[np.float32] | None = None  # the network's own probability of each
    patient_by_age: Patient | None = None


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A film that could not be read, and why: `reason` for programs, `detail` for people."""

    path: str | None
    reason: str
    detail: str
