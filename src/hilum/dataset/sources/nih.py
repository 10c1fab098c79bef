"""NIH ChestX-ray14 films as a table `images.csv`: text-mined labels, joined with RSNA's class and boxes where known."""

from __future__ import annotations

from pathlib import Path

from hilum.dataset.sources.source import (
    Entry,
    Listing,
    Record,
    chosen,
    header_has,
    listed_film,
    listing,
    read_records,
    relative,
)
from hilum.dataset.sources.values import SEXES, age_of, boxes_from_json, snake

TABLE = "images.csv"
COLUMNS = ("image", "patient", "nih_labels", "view", "sex", "age", "rsna_class", "rsna_boxes_xywh_relative")
LAYOUT = f"{TABLE} with the columns {', '.join(COLUMNS)}"
RSNA_NAMES = {"Normal": "normal", "No Lung Opacity / Not Normal": "not_normal", "Lung Opacity": "lung_opacity"}


def recognize(folder: Path) -> bool:
    """Whether the table of NIH's films with RSNA's opinions lies in the folder."""
    return header_has(folder / TABLE, *COLUMNS)


def read(folder: Path) -> Listing:
    """The films that the table lists, labeled by radiologists where they looked, by a text miner else."""
    entries = []
    absent = text_mined = 0
    for record in read_records(folder / TABLE, COLUMNS):
        cells = record.cells
        film = listed_film(record, "image", folder)
        if film is None:
            absent += 1
            continue
        label, findings = _label(record)
        judged = bool(cells["rsna_class"])
        text_mined += not judged
        entries.append(
            Entry(
                path=relative(film, folder),
                patient=cells["patient"],
                label=label,
                findings=findings,
                pneumonia=label in ("lung_opacity", "pneumonia"),
                boxes=boxes_from_json(record, "rsna_boxes_xywh_relative") if judged else None,
                view=cells["view"] or None,
                sex=SEXES.get(cells["sex"].lower()),
                age=age_of(record, "age"),
            )
        )
    notices = [f"{text_mined:,} films have only NIH's text-mined labels, and nobody drew boxes on them"]
    return listing(folder, entries, notices if text_mined else [], absent, "the folders that the table names")


def _label(record: Record) -> tuple[str, list[str]]:
    """RSNA's class where radiologists gave one, else what NIH's text mining makes of the report."""
    findings = [snake(name) for name in record.cells["nih_labels"].split("|")]
    if record.cells["rsna_class"]:
        label = chosen(record, "rsna_class", RSNA_NAMES)
        return label, [*findings, f"rsna:{label}"]
    if findings == ["no_finding"]:
        return "normal", findings
    return "pneumonia" if "pneumonia" in findings else "not_normal", findings
