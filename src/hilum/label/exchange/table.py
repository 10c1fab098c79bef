"""A table: a row for each box, or one for a film without; columns film, label, x, y, width, height and class."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hilum.dataset.manifest.csv_table import read_csv
from hilum.dataset.readings.reading import Box
from hilum.label.exchange.labeled import Labeled
from hilum.label.films import RoomError

COLUMNS = ("film", "label", "x", "y", "width", "height", "class")


def read_table(path: Path) -> list[Labeled]:
    """The films of a table, in the order of their first rows. Raises RoomError."""
    table = read_csv(path, RoomError)
    if missing := [name for name in COLUMNS if name not in table.header and name not in ("label", "class")]:
        raise RoomError(f"{path}: has no column {missing[0]}; a table of boxes has {', '.join(COLUMNS)}")
    films: dict[str, Labeled] = {}
    for line, cells in zip(table.lines, table.rows, strict=True):
        row = dict(zip(table.header, cells, strict=True))
        film = films.setdefault(row["film"], Labeled(row["film"], row.get("label") or None, []))
        sides = [row[side] for side in ("x", "y", "width", "height")]
        if not any(sides):
            continue
        try:
            x, y, width, height = map(float, sides)
            film.boxes.append(Box(x, y, width, height, row.get("class") or None))
        except ValueError:
            raise RoomError(
                f"{path}: line {line}: x, y, width and height are no box; give pixels of the film"
            ) from None
    return list(films.values())


def table_rows(films: Sequence[Labeled]) -> Iterator[Sequence[object]]:
    """The same, with its header."""
    yield COLUMNS
    for film in films:
        for box in film.boxes:
            yield film.film, film.label, box.x, box.y, box.width, box.height, box.label
        if not film.boxes:
            yield film.film, film.label, None, None, None, None, None
