"""RSNA Pneumonia Detection Challenge (2018): adult films with radiologists' classes and opacity boxes."""

from __future__ import annotations

from pathlib import Path

from hilum.dataset.sources.source import (
    Entry,
    Listing,
    SourceError,
    chosen,
    films_below,
    listing,
    read_records,
    relative,
)
from hilum.dataset.sources.values import pixel_box

LABELS = "stage_2_train_labels.csv"
CLASSES = "stage_2_detailed_class_info.csv"
IMAGES = "stage_2_train_images"
LAYOUT = f"{LABELS}, {CLASSES} and {IMAGES}"
NAMES = {"Normal": "normal", "No Lung Opacity / Not Normal": "not_normal", "Lung Opacity": "lung_opacity"}
# All films of the challenge have this many pixels, and the boxes belong to them whatever a conversion's size.
ORIGINAL = (1024, 1024)


def recognize(folder: Path) -> bool:
    """Whether the challenge's table of labels lies in the folder."""
    return (folder / LABELS).is_file()


def read(folder: Path) -> Listing:
    """The challenge's training films with their classes and boxes."""
    # Both tables repeat a film's row for each of its boxes.
    classes = {
        record.cells["patientId"]: chosen(record, "class", NAMES)
        for record in read_records(folder / CLASSES, ("patientId", "class"))
    }
    boxes: dict[str, list[list[float]]] = {}
    for record in read_records(folder / LABELS, ("patientId", "x", "y", "width", "height")):
        film = record.cells["patientId"]
        if film not in classes:
            raise SourceError(f"{record.where}: the patientId is not in {CLASSES}; get both tables of one stage")
        box = pixel_box(record)
        boxes.setdefault(film, []).extend([box] if box else [])
    # Backwards, so that film.dcm comes after a conversion film.png beside it and is the one taken.
    places = {path.stem: path for path in reversed(films_below(folder / IMAGES))}
    entries = [
        Entry(
            path=relative(places[film], folder),
            patient=film,
            label=label,
            findings=[label],
            pneumonia=label == "lung_opacity",
            boxes=boxes.get(film),
            boxes_of="film" if places[film].suffix.lower() in (".dcm", ".dicom", "") else ORIGINAL,
        )
        for film, label in classes.items()
        if film in places
    ]
    # Of the 893 films that could be traced back to NIH ChestX-ray14, 151 share their patient with another.
    notices = ["a patientId names one film, not one person: films of the same person cannot be told, and may be split"]
    return listing(folder, entries, notices, len(classes) - len(entries), IMAGES)
