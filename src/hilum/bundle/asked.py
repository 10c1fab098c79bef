"""Asked: what a user wants of a film, as one value that travels with it through command, service and cluster."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from hilum.bundle.card import BundleError, Card

Patient = Literal["child", "adult"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What is wanted of a film; what is left out is as the bundle has it.

    The threshold is that of `operating_point`, by its name in the bundle, or `threshold`, a number of one's own; a
    detector's boxes are given from `box_threshold` on. Without `gate` whatever the picture shows gets a probability.
    `patient` is for bundles that calibrate for children and for adults apart.

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
    threshold: float
    box_threshold: float | None  # None where the bundle draws no boxes


def settle(asked: Asked, card: Card) -> Settled:
    """What is asked, in the words of this bundle. Raises BundleError where the bundle cannot do it."""
    if asked.patient is not None:
        raise BundleError("has no groups of patients; leave patient out")
    box_threshold = asked.box_threshold
    if box_threshold is None:
        box_threshold = card.boxes.threshold if card.boxes is not None else None
    elif card.boxes is None:
        raise BundleError("a bundle that draws no boxes; leave the threshold of boxes out")
    elif not 0 <= box_threshold <= 1:
        raise BundleError(f"threshold {box_threshold:g} of boxes: scores run from 0 to 1")
    if asked.threshold is None:
        point = card.point(asked.operating_point)
        return Settled(point.name, point.threshold, box_threshold)
    if asked.operating_point is not None:
        raise BundleError("an operating point and a threshold at once; give one of them")
    if not 0 <= asked.threshold <= 1:
        raise BundleError(f"threshold {asked.threshold:g}: probabilities run from 0 to 1")
    return Settled(None, asked.threshold, box_threshold)
