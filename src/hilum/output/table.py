"""Predictions as rows: for people, for spreadsheets (CSV) and for programs (JSON), each written as it comes."""

from __future__ import annotations

from hilum.bundle.card import Card
from hilum.bundle.decide import OTHER_FINDING
from hilum.bundle.prediction import Abstained, Answered, Failed, PatientGroup, Prediction
from hilum.system.text import json_text

COLUMNS = ("file", "decision", "probability of pneumonia", "classes", "gate", "notes")
WORDS = {"pneumonia": "pneumonia", "no_pneumonia": "no pneumonia", "abstain": "abstain", None: "error"}
NOT_NORMAL = "no pneumonia, yet not normal"
GROUP_BY = {"asked": "as asked", "dicom_age": "by the age in its DICOM header", "network": "as the network says"}


def to_words(prediction: Prediction) -> tuple[str, ...]:
    """A film in words, a cell for each of COLUMNS."""
    probability = classes = ""
    if isinstance(prediction, Answered):
        probability = percent(prediction.probability)
        classes = ", ".join(f"{name} {percent(value)}" for name, value in prediction.probabilities.items())
    return (
        prediction.path or "",
        decision_in_words(prediction),
        probability,
        classes,
        _gate_in_words(prediction),
        notes(prediction),
    )


def decision_in_words(prediction: Prediction) -> str:
    """What was decided, and that no pneumonia is not yet normal."""
    if isinstance(prediction, Answered) and prediction.finding == OTHER_FINDING:
        return NOT_NORMAL
    return WORDS[prediction.decision]


def group_in_words(group: PatientGroup) -> str:
    """Whose film it was taken for, and why."""
    sure = f" ({percent(group.probability)})" if group.probability is not None else ""
    return f"{group.name}, {GROUP_BY[group.by]}{sure}"


def percent(probability: float) -> str:
    """A probability for people, never rounded to certainty."""
    if 0.001 <= probability <= 0.999:
        return f"{100 * probability:.1f}%"
    return "<0.1%" if probability < 0.5 else ">99.9%"


def notes(prediction: Prediction) -> str:
    """Why there is no answer, if there is none, the boxes, and what was odd about the file."""
    if isinstance(prediction, Failed):
        return prediction.error
    first = [prediction.gate.detail] if isinstance(prediction, Abstained) else []
    if isinstance(prediction, Answered):
        group = prediction.patient_group
        first = ["" if group is None else group_in_words(group), boxes_in_words(prediction)]
    return "; ".join(text for text in (*first, *(warning.detail for warning in prediction.warnings)) if text)


def boxes_in_words(answer: Answered) -> str:
    """How many boxes, and how sure each is; nothing where the bundle draws none."""
    if answer.box_threshold is None:
        return ""
    count = len(answer.boxes)
    if not count:
        return "no box"
    scores = ", ".join(percent(box.score) for box in answer.boxes)
    return f"{count} {'box' if count == 1 else 'boxes'} ({scores})"


def _gate_in_words(prediction: Prediction) -> str:
    if isinstance(prediction, Failed):
        return ""
    if prediction.gate.passed is None:
        return "off"
    return "passed" if prediction.gate.passed else prediction.gate.reason or "failed"


def to_json_line(prediction: Prediction) -> str:
    """One line that holds everything but the heatmap."""
    return json_text(prediction.to_dict())


def csv_header(card: Card) -> list[str]:
    """The columns of the CSV that `hilum predict` writes with this bundle."""
    return [
        *("file", "decision"),
        *(("finding",) if OTHER_FINDING in card.classes else ()),
        "probability",
        *(f"p_{name}" for name in card.classes),
        *(("patient_group", "patient_group_by", "patient_group_probability") if card.groups else ()),
        *("operating_point", "threshold", "gate", "gate_reason", "gate_distance", "height", "width"),
        *(("boxes",) if card.boxes is not None else ()),
        *("warnings", "error", "research_use", "bundle", "hilum"),
    ]


def to_csv_row(prediction: Prediction, card: Card) -> list[str]:
    """A film as cells below `csv_header`: numbers in full, empty where there is none."""
    row = prediction.to_row()
    cells = [row.get(name) for name in csv_header(card)]
    return ["" if cell is None else str(cell) for cell in cells]
