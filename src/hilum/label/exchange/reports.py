"""Boxes of hilum's own DICOM reports (`hilum predict --dicom sr`): lines on the film as its file stores it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.errors import InvalidDicomError

from hilum.dataset.readings.reading import Box
from hilum.label.exchange.labeled import Labeled
from hilum.label.films import FilmSet, RoomError
from hilum.output.dicom.place import upright_points
from hilum.radiograph import ReadError, read
from hilum.radiograph.folder import files_below

SMALL = 64  # of a film that is only asked for its size and its turn

WHOLE_FILM = "111041"  # (DCM, "Outline"): around which hilum's own reports draw a line, too


def read_reports(folder: Path, films: FilmSet) -> list[Labeled]:
    """The films that the folder's reports are of, with their boxes in pixels of the upright film. Raises RoomError."""
    lines: dict[str, list[np.ndarray[Any, Any]]] = defaultdict(list)
    for path in files_below(folder):
        try:
            report = pydicom.dcmread(path)
        except (InvalidDicomError, OSError):
            continue
        if report.get("Modality") == "SR":
            for film, points in _lines(report):
                lines[film].append(points)
    if not lines:
        raise RoomError(f"{folder}: holds no DICOM report with boxes; write some with hilum predict --dicom sr")
    return [_labeled(films, place, lines[uid]) for place, uid in _uids(films) if uid in lines]


def _lines(item: Any) -> Iterator[tuple[str, np.ndarray[Any, Any]]]:
    """The closed lines in a report, each with the film that it is on."""
    if item.get("ValueType") == "SCOORD" and item.get("GraphicType") == "POLYLINE":
        if item.ConceptNameCodeSequence[0].get("CodeValue") == WHOLE_FILM:
            return
        (image,) = item.ContentSequence
        points = np.asarray(item.GraphicData, np.float64).reshape(-1, 2)
        yield str(image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID), points
        return
    for part in item.get("ContentSequence", ()):
        yield from _lines(part)


def _uids(films: FilmSet) -> Iterator[tuple[int, str]]:
    for place in range(len(films.paths)):
        try:
            header = pydicom.dcmread(films.path(place), stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        except (InvalidDicomError, OSError):  # a picture, which no report is of
            continue
        yield place, str(header.get("SOPInstanceUID", ""))


def _labeled(films: FilmSet, place: int, lines: list[np.ndarray[Any, Any]]) -> Labeled:
    try:
        film = read(films.path(place), at_least=SMALL)
    except ReadError:
        return Labeled(films.paths[place], None, [])
    size = np.array([film.width, film.height])
    stored = size[::-1] if film.turn >= 5 else size  # codes from 5 on exchange rows and columns
    boxes = []
    for points in lines:
        upright = upright_points(points / stored, film.turn) * size
        (x, y), (right, bottom) = upright.min(0).tolist(), upright.max(0).tolist()
        if right > x and bottom > y:
            boxes.append(Box(x, y, right - x, bottom - y))
    return Labeled(films.paths[place], None, boxes, (film.width, film.height))
