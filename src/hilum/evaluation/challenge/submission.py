"""The RSNA challenge's CSV: a row a film with its boxes in pixels, "confidence x y width height" over and over."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePath
from typing import Any, NamedTuple

import numpy as np

from hilum.dataset.manifest.csv_table import read_csv
from hilum.measures.boxes.fusion import fuse
from hilum.measures.boxes.overlap import Detections
from hilum.system.rows import write_csv

HEADER = ("patientId", "PredictionString")
SIDE = 1024  # of every film of the challenge


class SubmissionError(ValueError):
    """A submission or predictions that cannot be used: one line naming file, line, reason and what to do."""


class FilmBoxes(NamedTuple):
    """What was predicted on a film, in fractions of it. `error` says why there is nothing."""

    film: str  # the stem of its file's name, which is the challenge's patientId
    found: Detections
    height: int
    width: int
    error: str | None = None


def film_boxes(record: Mapping[str, Any]) -> FilmBoxes:
    """What `hilum predict --json` says of one film, whose boxes are in its pixels."""
    size = record["height"] or 0, record["width"] or 0
    sides = {"x": size[1], "y": size[0], "width": size[1], "height": size[0]}
    boxes = [[float(box[name]) / side for name, side in sides.items()] for box in record["boxes"]]
    scores = [float(box["score"]) for box in record["boxes"]]
    found = Detections(np.array(boxes, np.float64).reshape(-1, 4), np.array(scores, np.float64))
    if not (np.isfinite(found.boxes).all() and np.isfinite(found.scores).all()):
        raise ValueError("a box that is no number")
    film = PurePath(record["file"] or "").stem  # pixels that came from no file have none
    return FilmBoxes(film, found, *size, record["error"])


def read_predictions(path: Path) -> list[FilmBoxes]:
    """The lines that `hilum predict --json` wrote."""
    films = []
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                films.append(film_boxes(json.loads(line)))
            except (ValueError, KeyError, TypeError, ZeroDivisionError, RecursionError):
                raise SubmissionError(
                    f"{path}: line {number} is no prediction; make the file with `hilum predict FILMS --json`"
                ) from None
    return films


def fuse_films(sets: list[list[FilmBoxes]]) -> list[FilmBoxes]:
    """Predictions of several networks on the same films as one; what one could not read is left to the others."""
    by_film = [{film.film: film for film in films} for films in sets]
    for films, named in zip(sets, by_film, strict=True):
        if len(named) < len(films):
            twice = next(film.film for place, film in enumerate(films) if film.film in {f.film for f in films[:place]})
            raise SubmissionError(f"{twice}: two films of that name; the challenge knows films by name, so rename one")
        if named.keys() != by_film[0].keys():
            odd = min(named.keys() ^ by_film[0].keys())
            raise SubmissionError(f"{odd}: not all predictions have this film; predict the same films with each")
    fused = []
    for name, first in by_film[0].items():
        read = [named[name] for named in by_film if named[name].error is None]
        opinions = [film.found for film in read]
        fused.append(read[0]._replace(found=fuse(opinions) if len(opinions) > 1 else opinions[0]) if read else first)
    return fused


def write_submission(films: Iterable[FilmBoxes], path: Path) -> None:
    """Write the CSV, complete or not at all."""
    try:
        write_csv(path, [HEADER, *((film.film, _prediction_string(film)) for film in films)])
    except UnicodeEncodeError:
        raise SubmissionError(f"{path}: not written, since the name of a film is not UTF-8; rename the film") from None


def _prediction_string(film: FilmBoxes) -> str:
    pixels = film.found.boxes * (film.width, film.height, film.width, film.height)
    numbers = np.column_stack([film.found.scores, pixels])
    return " ".join(f"{number:.7g}" for number in numbers.ravel())


def read_submission(path: Path) -> dict[str, Detections]:
    """The boxes of each film, in pixels."""
    header, rows, lines = read_csv(path, SubmissionError)
    if missing := [name for name in HEADER if name not in header]:
        raise SubmissionError(
            f"{path}: there is no column {missing[0]}; the header of a submission is {','.join(HEADER)}"
        )
    films: dict[str, Detections] = {}
    first: dict[str, int] = {}
    name_at, boxes_at = (header.index(name) for name in HEADER)
    for row, line in zip(rows, lines, strict=True):
        film = row[name_at]
        if not film:
            raise SubmissionError(f"{path}: line {line}: the patientId is empty; name the film")
        if film in first:
            raise SubmissionError(
                f"{path}: line {line}: the film of line {first[film]} again; write all its boxes in one row"
            )
        first[film] = line
        films[film] = _parse_boxes(row[boxes_at], f"{path}: line {line}")
    return films


def _parse_boxes(text: str, where: str) -> Detections:
    words = text.split()
    if len(words) % 5:
        raise SubmissionError(f"{where}: {len(words)} numbers; each box takes five: confidence x y width height")
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = [math.nan]
    if not all(map(math.isfinite, numbers)):
        raise SubmissionError(f"{where}: not all of it is numbers; each box takes five: confidence x y width height")
    table = np.array(numbers, np.float64).reshape(-1, 5)
    if (table[:, 3:] <= 0).any():
        raise SubmissionError(f"{where}: a box without width or height; correct or remove it")
    return Detections(table[:, 1:], table[:, 0])
