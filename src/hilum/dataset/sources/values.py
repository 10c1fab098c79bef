"""What cells of foreign tables and names of folders mean."""

from __future__ import annotations

import json
import re

from hilum.dataset.sources.source import Record, SourceError

PNEUMONIA_WORDS = ("pneumonia", "bacteria", "virus", "viral", "covid", "opacity")
NO_PNEUMONIA_NAMES = frozenset({"normal", "negative", "no_finding", "no_findings", "healthy", "control"})
NO_PNEUMONIA = re.compile(r"(no|non|not|without|negative_for)_(pneumonia|(lung_)?opacity)|(pneumonia|opacity)_negative")
NEGATIONS = frozenset({"no", "non", "not", "without", "negative"})
SPLITS = {"train": "train", "training": "train", "val": "val", "valid": "val", "validation": "val"}
SPLITS |= {"test": "test", "testing": "test"}
SEXES = {"f": "F", "female": "F", "m": "M", "male": "M"}
DAYS_IN = {"Y": 365.25, "M": 365.25 / 12, "W": 7.0, "D": 1.0}


def snake(text: str) -> str:
    """'No Lung Opacity / Not Normal' becomes no_lung_opacity_not_normal."""
    return re.sub(r"\W+", "_", text.lower()).strip("_")


def means_pneumonia(name: str) -> bool | None:
    """What the name of a class says of pneumonia; None where it says nothing."""
    name = snake(name)
    if name in NO_PNEUMONIA_NAMES or NO_PNEUMONIA.fullmatch(name):
        return False
    # Another pneumonia may hide behind non_covid.
    negated = NEGATIONS.intersection(name.split("_"))
    return True if not negated and any(word in name for word in PNEUMONIA_WORDS) else None


def age_of(record: Record, column: str) -> float | None:
    """Years, from '58' or DICOM's '058Y'."""
    text = record.cells[column].upper()
    if not text:
        return None
    match = re.fullmatch(r"(\d{1,3}(?:\.\d+)?)([YMWD]?)", text)
    years = float(match[1]) * DAYS_IN[match[2] or "Y"] / DAYS_IN["Y"] if match else -1.0
    if not 0 <= years <= 130:
        raise SourceError(f"{record.where}, column {column}: no age from 0 to 130 years; correct it or leave it empty")
    return years


def boxes_from_json(record: Record, column: str) -> list[list[float]] | None:
    """Boxes from JSON text."""
    text = record.cells[column]
    if not text:
        return None
    try:
        boxes = [[float(number) for number in box] for box in json.loads(text)]
    except (ValueError, TypeError):
        raise SourceError(f"{record.where}, column {column}: no boxes such as [[0.1, 0.2, 0.3, 0.4]]") from None
    return [checked_box(box, f"{record.where}, column {column}") for box in boxes]


def pixel_box(record: Record) -> list[float] | None:
    """The box in columns x, y, width, height; None where they are empty, which means that there is none."""
    cells = [record.cells[name] for name in ("x", "y", "width", "height")]
    if not any(cells):
        return None
    try:
        box = [float(cell) for cell in cells]
    except ValueError:
        raise SourceError(f"{record.where}: x, y, width, height are not four numbers; correct the box") from None
    return checked_box(box, record.where)


def checked_box(box: list[float], where: str) -> list[float]:
    """The box, if it is one; a SourceError that says where it stands otherwise."""
    finite = len(box) == 4 and all(abs(number) < float("inf") for number in box)
    if not finite or box[2] <= 0 or box[3] <= 0:
        raise SourceError(f"{where}: a box is not four numbers with a width and height above zero; correct it")
    return box
