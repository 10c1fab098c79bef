"""Any table that lists films, its columns named by the user: `path=Image`, `label=Finding`, `patient=PatientID`."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path

from hilum.dataset.manifest.csv_table import read_csv
from hilum.dataset.sources.source import Entry, Listing, Record, SourceError, films_below, listing, relative
from hilum.dataset.sources.values import SEXES, SPLITS, age_of, boxes_from_json, means_pneumonia, snake

LAYOUT = "a .csv or .parquet table with --map path=COLUMN"
MAPPABLE = (
    "path",
    "patient",
    "study",
    "label",
    "findings",
    "pneumonia",
    "boxes",
    "view",
    "sex",
    "age",
    "official_split",
    "split",
)
BOOLEANS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False, "": None}
SPLIT_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def recognize(path: Path) -> bool:
    """Whether it is a table at all; what its columns mean is for the user to say."""
    return path.suffix.lower() in (".csv", ".parquet") and path.is_file()


def read(path: Path, columns: Mapping[str, str], labels: Mapping[str, str]) -> Listing:
    """`columns` names the table's column for each of the manifest's; `labels` renames label values."""
    records, given = _records(path)
    columns = {name: name for name in MAPPABLE if name in given} | dict(columns)
    _check_columns(path, columns, given)
    stated = {record.cells[columns["label"]] for record in records} if "label" in columns else set()
    _check_labels(path, columns, labels, stated)
    folder = path.parent
    films = _Films(folder)
    entries: list[Entry] = []
    absent = 0
    for record in records:
        # Under the manifest's names from here on, with what is not mapped left empty.
        record = Record(
            record.where, {name: record.cells[columns[name]] if name in columns else "" for name in MAPPABLE}
        )
        film = films.find(record)
        if film is None:
            absent += 1
            continue
        entries.append(_entry(record, relative(film, folder), labels))
    return listing(path, entries, _notices(entries, columns, given, stated), absent, "the table's folder or below it")


def _entry(record: Record, path: str, labels: Mapping[str, str]) -> Entry:
    cells = record.cells
    label = labels.get(cells["label"], snake(cells["label"])) or None
    try:
        stated = BOOLEANS[cells["pneumonia"].lower()]
    except KeyError:
        raise SourceError(f"{record.where}: pneumonia is neither true nor false; leave it empty if unknown") from None
    return Entry(
        path=path,
        patient=cells["patient"] or None,
        study=cells["study"] or None,
        label=label,
        findings=[snake(finding) for finding in re.split(r"[|;,]", cells["findings"]) if finding.strip()],
        pneumonia=means_pneumonia(label or "") if stated is None else stated,
        boxes=boxes_from_json(record, "boxes"),
        view=cells["view"].upper() or None,
        sex=SEXES.get(cells["sex"].lower()),
        age=age_of(record, "age"),
        official_split=_split(record, "official_split"),
        split=_split(record, "split"),
    )


def _split(record: Record, column: str) -> str | None:
    name = record.cells[column]
    if name and not SPLIT_NAME.fullmatch(name):
        raise SourceError(f"{record.where}: {column} has an odd name; write train, val, test or fold0, fold1, ...")
    return SPLITS.get(name.lower(), name) or None


def _check_columns(path: Path, columns: Mapping[str, str], given: list[str]) -> None:
    if "path" not in columns:
        raise SourceError(f"{path}: say which column names the films: --map path=COLUMN, one of {', '.join(given)}")
    for name, column in columns.items():
        if name not in MAPPABLE:
            raise SourceError(f"--map {name}=...: no such column in a manifest; one of {', '.join(MAPPABLE)}")
        if column not in given:
            raise SourceError(f"{path}: there is no column {column!r}; one of {', '.join(given)}")


def _check_labels(path: Path, columns: Mapping[str, str], labels: Mapping[str, str], stated: set[str]) -> None:
    if labels and "label" not in columns:
        raise SourceError(f"{path}: --label needs a column of labels: --map label=COLUMN")
    if unmatched := sorted(set(labels) - stated):
        raise SourceError(f"{path}: no film has the label {unmatched[0]!r}; write it as the table does")


def _notices(entries: list[Entry], columns: Mapping[str, str], given: list[str], stated: set[str]) -> list[str]:
    notices = []
    if anonymous := sum(entry.patient is None for entry in entries):
        notices.append(f"{anonymous:,} films have no patient: each counts as a patient of its own")
    if "label" not in columns:
        notices.append("no column gives the label (--map label=COLUMN): it stays unknown")
    if any("|" in label for label in stated):
        notices.append("labels such as a|b name several findings at once; --map findings=COLUMN takes them apart")
    # What is not asked for stays out: foreign tables hold names and birth dates.
    if left := [name for name in given if name not in columns.values()]:
        notices.append(f"columns not taken over: {', '.join(left)}")
    return notices


class _Films:
    """The films below a folder, found by path, by file name, or by file name without suffix."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.by_name: dict[str, list[Path]] = {}
        for film in films_below(folder):
            for name in {film.name, film.stem}:
                self.by_name.setdefault(name, []).append(film)

    def find(self, record: Record) -> Path | None:
        name = record.cells["path"].replace("\\", "/")
        if not name:
            raise SourceError(f"{record.where}: the cell that names the film is empty; fill it or remove the line")
        direct = self.folder / name
        if direct.is_file() and direct.is_relative_to(self.folder) and ".." not in direct.parts:
            return direct
        matches = self.by_name.get(Path(name).name, [])
        if len(matches) > 1:
            raise SourceError(f"{record.where}: {len(matches)} films have this name; write the path from the table on")
        return matches[0] if matches else None


def _records(path: Path) -> tuple[list[Record], list[str]]:
    if path.suffix.lower() == ".csv":
        header, cells, lines = read_csv(path, SourceError)
        where = [f"{path}: line {line}" for line in lines]
    else:
        from hilum.dataset.manifest.parquet_table import read_parquet  # polars: only who needs it pays for it

        table = read_parquet(path, SourceError)
        header = table.columns
        cells = [[_text(value) for value in row] for row in table.iter_rows()]
        where = [f"{path}: row {number}" for number in range(1, len(cells) + 1)]
    records = [
        Record(place, {name: cell.strip() for name, cell in zip(header, row, strict=True)})
        for place, row in zip(where, cells, strict=True)
    ]
    return records, [name for name in header if name]


def _text(value: object) -> str:
    if value is None:
        return ""
    return json.dumps(value) if isinstance(value, list) else str(value)
