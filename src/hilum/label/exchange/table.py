"""A table: a row for each box, or one for a film without; columns film, label, x, y, width, height and class.

One of labels alone, with the columns film and label, is read as well.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hilum.dataset.manifest.csv_table import read_csv
from hilum.dataset.readings.reading import Box
from hilum.label.exchange.labeled import Labeled
from hilum.label.films import RoomError

SIDES = ("x", "y", "width", "height")
COLUMNS = ("film", "label", *SIDES, "class")


def read_table(path: Path) -> list[Labeled]:
    """The films of a table, in the order of their first rows. Raises RoomError."""
    table = read_csv(path, RoomError)
    missing = [name for name in ("film", *SIDES) if name not in table.header]
    if missing and not (missing == list(SIDES) and "label" in table.header):
        wanted = f"a table of boxes has {', '.join(COLUMNS)}, one of labels film and label"
        raise RoomError(f"{path}: has no column {missing[0]}; {wanted}")
    films: dict[str, Labeled] = {}
    for line, cells in zip(table.lines, table.rows, strict=True):
        row = dict(zip(table.header, cells, strict=True))
        film = films.setdefault(row["film"], Labeled(row["film"], row.get("label") or None, []))
        sides = [row.get(side) for side in SIDES]
        if not any(sides):
            continue
        try:
            x, y, width, height = (float(side or "") for side in sides)
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
