"""Asked: what a user wants of a film, as one value that travels with it through command, service and cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hilum.bundle.card import BundleError, Card
from hilum.radiograph.patient import PATIENTS, Patient


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a film; what is left out is as the bundle has it.

    The threshold is that of `operating_point`, by its name in the bundle, or `threshold`, a number of one's own; a
    detector's boxes are given from `box_threshold` on. Without `gate` whatever the picture shows gets a probability.
    `patient` says whether films are of a child or an adult, to bundles that answer for each apart; else the age in a
    DICOM header tells, or the network itself.

    >>> model = hilum.load("model.onnx")
    >>> model.predict("film.png", hilum.Asked(threshold=0.1)).decision
    'pneumonia'
    """

    operating_point: str | None = None
    threshold: float | None = None
    gate: bool = True
    heatmaps: bool = True
    box_threshold: float | None = None
    patient: Patient | None = None


class Settled(NamedTuple):
    """What a decision is made by, once a bundle has filled in what was left out."""

    operating_point: str | None  # None with a threshold of the user's own
    threshold: float | None  # None where it hangs on whose film it is
    box_threshold: float | None  # None where the bundle draws no boxes


def settle(asked: Asked, card: Card) -> Settled:
    """What is asked, in the words of this bundle. Raises BundleError where the bundle cannot do it."""
    if asked.patient is not None and not card.groups:
        raise BundleError("answers for children and adults alike; leave patient out")
    if asked.patient is not None and asked.patient not in PATIENTS:
        raise BundleError(f"no patient is {asked.patient}; say {' or '.join(PATIENTS)}")
    box_threshold = asked.box_threshold
    if box_threshold is None:
        box_threshold = card.boxes.threshold if card.boxes is not None else None
    elif card.boxes is None:
        raise BundleError("a bundle that draws no boxes; leave the threshold of boxes out")
    elif not 0 <= box_threshold <= 1:
        raise BundleError(f"threshold {box_threshold:g} of boxes: scores run from 0 to 1")
    if asked.threshold is None:
        name = card.checked(asked.operating_point)
        return Settled(name, None if card.groups else card.point(name).threshold, box_threshold)
    if asked.operating_point is not None:
        raise BundleError("an operating point and a threshold at once; give one of them")
    if not 0 <= asked.threshold <= 1:
        raise BundleError(f"threshold {asked.threshold:g}: probabilities run from 0 to 1")
    return Settled(None, asked.threshold, box_threshold)
