"""What comes in by the looks of it, and what goes out by the format that is asked for."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.readings.folder import add_reading
from hilum.dataset.readings.reading import Box, Reading, now
from hilum.dataset.readings.verdict import verdict
from hilum.label.exchange.coco import coco, read_coco
from hilum.label.exchange.label_studio import label_studio, read_label_studio
from hilum.label.exchange.labeled import Labeled, json_of, matched
from hilum.label.exchange.reports import read_reports
from hilum.label.exchange.table import read_table, table_rows
from hilum.label.films import FilmSet, RoomError, check_readers
from hilum.label.room import ROOM, remember
from hilum.system.files import file_digest, write_whole
from hilum.system.rows import csv_text

Format = Literal["coco", "label-studio", "csv"]


def read_labeled(path: Path, films: FilmSet) -> list[Labeled]:
    """The films of ours that a file of any of these formats, or a folder of reports, tells of. Raises RoomError."""
    if path.is_dir():
        return read_reports(path, films)
    if not path.exists():
        raise RoomError(f"{path}: there is no such file")
    if path.suffix.lower() == ".csv":
        return matched(read_table(path), films, path)
    found = read_label_studio(path) if isinstance(json_of(path), list) else read_coco(path)
    return matched(found, films, path)


def starting_boxes(path: Path, films: FilmSet) -> dict[str, list[Box]]:
    """The boxes that films begin with, in pixels. Raises RoomError."""
    return {labeled.film: labeled.boxes for labeled in read_labeled(path, films) if labeled.boxes}


def take(path: Path, films: FilmSet, out: Path, reader: str) -> int:
    """What was labeled elsewhere as readings of this reader; how many. Raises RoomError or OSError."""
    check_readers((reader,), "--reader")
    labeled = read_labeled(path, films)
    places = {path: place for place, path in enumerate(films.paths)}
    if not (out / ROOM).exists():
        said = tuple(sorted({each.label for each in labeled if each.label is not None}))
        remember(out, films, said or films.classes(), "never")
    for each in labeled:
        digest = file_digest(films.path(places[each.film]))
        add_reading(out, Reading(reader, each.film, digest, now(), 0.0, each.label, boxes=each.boxes))
    return len(labeled)


def as_labeled(manifest: Manifest, readings: Sequence[Reading], by: str) -> list[Labeled]:
    """What was read, by whose word counts (verdict.py); films without a label are left out."""
    of_film: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        of_film[reading.film].append(reading)
    found = []
    for path, width, height in manifest.table.select("path", "width", "height").iter_rows():
        said = verdict(of_film[path], by)
        if said is not None and said.label is not None:
            found.append(Labeled(path, said.label, list(said.boxes), (width, height) if width and height else None))
    return found


def write_labeled(labeled: Sequence[Labeled], path: Path, kind: Format) -> None:
    """Write films in one of these formats, whole or not at all. Raises OSError."""
    if kind == "csv":
        write_whole(path, csv_text(table_rows(labeled)))
    else:
        write_whole(path, json.dumps(coco(labeled) if kind == "coco" else label_studio(labeled), indent=1))
