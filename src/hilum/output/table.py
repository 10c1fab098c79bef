"""Predictions as rows: for people, for spreadsheets (CSV) and for programs (JSON), each written as it comes."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hilum.bundle.card import Card
from hilum.bundle.prediction import Prediction

WORDS = {"pneumonia": "pneumonia", "no_pneumonia": "no pneumonia", "abstain": "abstain", None: "error"}


def to_row(prediction: Prediction) -> tuple[str, ...]:
    """A film in words: file, decision, probability, classes, gate, notes."""
    classes = prediction.probabilities or {}
    return (
        prediction.path or "",
        WORDS[prediction.decision],
        "" if prediction.probability is None else percent(prediction.probability),
        ", ".join(f"{name} {percent(value)}" for name, value in classes.items()),
        "" if prediction.error else _gate_in_words(prediction),
        notes(prediction),
    )


def percent(probability: float) -> str:
    """A probability for people, never rounded to certainty."""
    if 0.001 <= probability <= 0.999:
        return f"{100 * probability:.1f}%"
    return "<0.1%" if probability < 0.5 else ">99.9%"


def notes(prediction: Prediction) -> str:
    """Why there is no answer, if there is none, the boxes, and what was odd about the file."""
    reasons = [prediction.error or prediction.gate.detail or "", boxes_in_words(prediction)]
    return "; ".join(text for text in (*reasons, *(warning.detail for warning in prediction.warnings)) if text)


def boxes_in_words(prediction: Prediction) -> str:
    if prediction.box_threshold is None or prediction.decision in (None, "abstain"):
        return ""
    count = len(prediction.boxes)
    if not count:
        return "no box"
    scores = ", ".join(percent(box.score) for box in prediction.boxes)
    return f"{count} {'box' if count == 1 else 'boxes'} ({scores})"


def _gate_in_words(prediction: Prediction) -> str:
    if prediction.gate.passed is None:
        return "off"
    return "passed" if prediction.gate.passed else prediction.gate.reason or "failed"


def to_json_line(prediction: Prediction) -> str:
    return json.dumps(prediction.to_dict(), ensure_ascii=False, allow_nan=False)


def csv_header(card: Card) -> list[str]:
    return [
        *("file", "decision", "probability"),
        *(f"p_{name}" for name in card.classes),
        *("operating_point", "threshold", "gate", "gate_reason", "gate_distance", "height", "width"),
        *(("boxes",) if card.boxes is not None else ()),
        *("warnings", "error", "research_use"),
    ]


def to_csv_row(prediction: Prediction, card: Card) -> list[str]:
    """A film as cells below `csv_header`: numbers in full, empty where there is none.

    Boxes are in one cell, as in the RSNA challenge: score x y width height of each, in pixels of the film.
    """
    plain = prediction.to_dict()
    probabilities = plain["probabilities"] or {}
    cells = [
        *(plain[name] for name in ("file", "decision", "probability")),
        *(probabilities.get(name) for name in card.classes),
        *(plain["operating_point"], plain["threshold"]),
        {True: "passed", False: "failed", None: "" if prediction.error else "off"}[prediction.gate.passed],
        *(plain["gate"]["reason"], plain["gate"]["distance"], plain["height"], plain["width"]),
        *((_boxes_in_numbers(plain["boxes"]),) if card.boxes is not None else ()),
        *("; ".join(warning.detail for warning in prediction.warnings), plain["error"], plain["research_use"]),
    ]
    return ["" if cell is None else str(cell) for cell in cells]


def _boxes_in_numbers(boxes: Sequence[Mapping[str, Any]]) -> str:
    return " ".join(f"{box[name]:g}" for box in boxes for name in ("score", "x", "y", "width", "height"))
