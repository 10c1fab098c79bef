"""A Reading becomes a Prediction: pure and cheap, so that one look at a film serves any threshold."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.asked import Asked, settle
from hilum.bundle.card import BundleError, Card
from hilum.bundle.prediction import NOT_ASKED, Abstained, Answered, Box, Failed, PatientGroup, Prediction
from hilum.bundle.reading import Reading, Unreadable
from hilum.radiograph.geometry import corners_of, sides_of
from hilum.radiograph.patient import PATIENTS

OTHER_FINDING = "other_finding"  # what a class is called that stands for films neither normal nor with an opacity


def decide(card: Card, digest: str, reading: Reading | Unreadable, asked: Asked) -> Prediction:
    """What the bundle of this card and digest says of a film that it has looked at.

    Raises BundleError if the bundle cannot do what is asked, or did not make the reading.
    """
    terms = settle(asked, card)
    traced: dict[str, Any] = {"path": reading.path, **terms._asdict(), "model": card.title or card.name}
    if isinstance(reading, Unreadable):
        return Failed(reason=reading.reason, detail=reading.detail, bundle=digest, **traced)
    if reading.bundle != digest:
        raise BundleError("another bundle made this reading; look at the film again")
    if not (np.isfinite(reading.probabilities).all() and (reading.groups is None or np.isfinite(reading.groups).all())):
        detail = "the network gave no number for this film; export the bundle again"
        return Failed(reason="not_a_number", detail=detail, bundle=digest, **traced)
    film: dict[str, Any] = {
        "height": reading.height,
        "width": reading.width,
        "turn": reading.turn,
        "warnings": reading.warnings,
        "gate": reading.gate if asked.gate else NOT_ASKED,
    }
    if asked.gate and not reading.gate.passed:
        return Abstained(bundle=digest, **traced, **film)
    patient = patient_group(card, reading, asked)
    row = class_probabilities(reading, patient)
    if terms.threshold is None:
        terms = terms._replace(threshold=card.point(terms.operating_point, patient and patient.name).threshold)
        traced |= terms._asdict()
    assert terms.threshold is not None
    positive = np.array([name in card.positive for name in card.classes])
    probability = float(np.clip(row[positive].sum(), 0, 1))
    probabilities = dict(zip(card.classes, map(float, row), strict=True))
    if patient is not None and len(card.positive) > 1 and not card.group(patient.name).tells_kinds:
        others = {name: value for name, value in probabilities.items() if name not in card.positive}
        probabilities = others | {"pneumonia": probability}
    decision: Literal["pneumonia", "no_pneumonia"] = "pneumonia" if probability >= terms.threshold else "no_pneumonia"
    heatmap = None if reading.heatmaps is None or not asked.heatmaps else _evidence(reading.heatmaps, row, positive)
    return Answered(
        decision=decision,
        finding=_finding(decision, probabilities, probability),
        probability=probability,
        probabilities=probabilities,
        patient_group=patient,
        heatmap=heatmap,
        about=card.heatmap,
        lungs=reading.lungs if asked.heatmaps else None,
        geometry=card.geometry,
        boxes=_boxes(card, reading, terms.box_threshold),
        bundle=digest,
        **traced,
        **film,
    )


def patient_group(card: Card, reading: Reading, asked: Asked) -> PatientGroup | None:
    """Whose film it is: what is asked comes first, then the age in its DICOM header, then what the network says."""
    if not card.groups or reading.groups is None:
        return None
    if asked.patient is not None:
        return PatientGroup(asked.patient, "asked")
    if reading.patient_by_age is not None:
        return PatientGroup(reading.patient_by_age, "dicom_age")
    likeliest = int(reading.groups.argmax())
    return PatientGroup(PATIENTS[likeliest], "network", float(reading.groups[likeliest]))


def class_probabilities(reading: Reading, patient: PatientGroup | None) -> NDArray[np.float64]:
    """The graph's probability of each class, as calibrated for the group of patients."""
    given = reading.probabilities if patient is None else reading.probabilities[PATIENTS.index(patient.name)]
    return given.astype(np.float64)


def _finding(
    decision: Literal["pneumonia", "no_pneumonia"], probabilities: dict[str, float], pneumonia: float
) -> Literal["pneumonia", "other_finding", "normal"] | None:
    """What the film shows, of bundles that know of other findings than pneumonia."""
    if OTHER_FINDING not in probabilities:
        return None
    if decision == "pneumonia":
        return "pneumonia"
    other = probabilities[OTHER_FINDING]
    return "other_finding" if other > 1 - pneumonia - other else "normal"


def _boxes(card: Card, reading: Reading, threshold: float | None) -> tuple[Box, ...]:
    if threshold is None or reading.boxes is None or reading.scores is None:
        return ()
    label = card.positive[0] if len(card.positive) == 1 else "pneumonia"
    scores = reading.scores.astype(np.float64)
    kept = (scores > 0) & (scores >= threshold)
    placed = _on_film(card, reading, reading.boxes[kept])
    return tuple(
        Box(x, y, width, height, score, label)
        for (x, y, width, height), score in zip(placed.tolist(), scores[kept].tolist(), strict=True)
        if min(width, height) > 0
    )


def _on_film(card: Card, reading: Reading, boxes: NDArray[np.float32]) -> NDArray[np.float64]:
    """Boxes of the picture as boxes of the film, cut at its edges."""
    placed = card.geometry.boxes_to_film(boxes.astype(np.float64), reading.height, reading.width)
    return sides_of(np.clip(corners_of(placed), 0, 1))


def _evidence(
    maps: NDArray[np.float32], probabilities: NDArray[np.float64], positive: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Where the film speaks for pneumonia rather than against it.

    The decision hangs on the log odds of the positive classes against the others, whose slope in the logit of a class
    is its share among its side's probabilities; the maps are taken in these shares. With two classes that is one map
    less the other, which is all that a softmax sees.
    """
    weights = np.zeros_like(probabilities)
    for side, sign in ((positive, 1), (~positive, -1)):
        shares = np.clip(probabilities[side], 1e-12, None)
        weights[side] = sign * shares / shares.sum() if shares.size else 0
    return np.ascontiguousarray(np.tensordot(weights.astype(np.float32), maps, 1))
