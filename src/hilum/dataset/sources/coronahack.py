"""CoronaHack (Kaggle): mostly Kermany's films, with COVID-19, SARS and other causes from publications added."""

from __future__ import annotations

from pathlib import Path

from hilum.dataset.sources import kermany
from hilum.dataset.sources.source import (
    Entry,
    Listing,
    SourceError,
    chosen,
    listed_film,
    listing,
    read_records,
    relative,
)
from hilum.dataset.sources.values import snake

TABLE = "Chest_xray_Corona_Metadata.csv"
LAYOUT = f"{TABLE} beside Coronahack-Chest-XRay-Dataset"
LABELS = {"Normal": "normal", "Pnemonia": "pneumonia"}  # the misspelling is the table's own
CAUSES = {"bacteria": "bacterial", "virus": "viral"}
SPLITS = {"TRAIN": "train", "TEST": "test"}
COLUMNS = ("X_ray_image_name", "Label", "Dataset_type", "Label_1_Virus_category", "Label_2_Virus_category")


def recognize(folder: Path) -> bool:
    """Whether the set's own table lies in the folder."""
    return (folder / TABLE).is_file()


def read(folder: Path) -> Listing:
    """The films that the table lists, under its labels and splits."""
    records = read_records(folder / TABLE, COLUMNS)
    root = _root(folder)
    entries: list[Entry] = []
    absent = unknown = 0
    for record in records:
        split = chosen(record, "Dataset_type", SPLITS)
        film = listed_film(record, "X_ray_image_name", root / split)
        if film is None:
            absent += 1
            continue
        pneumonia = chosen(record, "Label", LABELS) == "pneumonia"
        entry = kermany.entry_of(film.stem, relative(film, folder), split, pneumonia=pneumonia)
        if entry.patient is None:
            unknown += 1
            entry.patient = f"{split}/{film.stem}"
        if pneumonia:
            stated = [snake(record.cells[f"Label_{number}_Virus_category"]) for number in (1, 2)]
            entry.label = CAUSES.get(stated[0], "pneumonia")
            entry.findings = ["pneumonia", *(CAUSES.get(cause, cause) for cause in stated if cause)]
        entries.append(entry)
    notices = (
        [f"{unknown:,} films have no patient in their name: each counts as a patient of its own"] if unknown else []
    )
    return listing(folder, entries, notices, absent, "Coronahack-Chest-XRay-Dataset/{train,test}")


def _root(folder: Path) -> Path:
    """Kaggle's archive nests the folder twice; people unpack one level or both."""
    once = folder / "Coronahack-Chest-XRay-Dataset"
    for root in (once / once.name, once, folder):
        if (root / "train").is_dir() or (root / "test").is_dir():
            return root
    raise SourceError(f"{folder}: neither train nor test lies in {once.name}; unpack the films there")
