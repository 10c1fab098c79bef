"""SIIM-FISABIO-RSNA COVID-19 Detection (2021) as a table `images.csv`: study classes, opacity boxes, five folds."""

from __future__ import annotations

from pathlib import Path

from hilum.dataset.sources.source import (
    Entry,
    Listing,
    chosen,
    header_has,
    listed_film,
    listing,
    read_records,
    relative,
)
from hilum.dataset.sources.values import boxes_from_json, snake

TABLE = "images.csv"
COLUMNS = ("image", "study", "patient", "fold", "study_class", "boxes_xywh_relative")
LAYOUT = f"{TABLE} with the columns {', '.join(COLUMNS)}"
NAMES = {
    "Negative for Pneumonia": "negative",
    "Typical Appearance": "typical",
    "Indeterminate Appearance": "indeterminate",
    "Atypical Appearance": "atypical",
}


def recognize(folder: Path) -> bool:
    """Whether the table of the SIIM-FISABIO-RSNA challenge lies in the folder."""
    return header_has(folder / TABLE, *COLUMNS)


def read(folder: Path) -> Listing:
    """The films that the table lists, with their study's class and the boxes where they are known."""
    entries = []
    absent = unknown = 0
    for record in read_records(folder / TABLE, COLUMNS):
        cells = record.cells
        film = listed_film(record, "image", folder)
        if film is None:
            absent += 1
            continue
        label = chosen(record, "study_class", NAMES)
        boxes = boxes_from_json(record, "boxes_xywh_relative")
        if label != "negative" and not boxes:
            # The class is the study's, and a study has several images: the opacity may lie on another of them.
            boxes = None
            unknown += 1
        entries.append(
            Entry(
                path=relative(film, folder),
                patient=cells["patient"],
                study=cells["study"],
                label=label,
                findings=[snake(cells["study_class"])],
                pneumonia=label != "negative",
                boxes=boxes,
                official_split=f"fold{cells['fold']}",
                split=f"fold{cells['fold']}",
            )
        )
    notices = [f"{unknown:,} films of positive studies carry no box: their boxes are unknown, not absent"]
    return listing(folder, entries, notices if unknown else [], absent, "the folders that the table names")
