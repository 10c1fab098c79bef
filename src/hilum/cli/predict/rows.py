"""The rows that programs read: JSON on standard output, CSV in a file, each whole as soon as its film is done."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from hilum.output.table import csv_header, to_csv_row, to_json_line
from hilum.system.rows import RowFile, csv_cell, row_printer
from hilum.system.text import printable

if TYPE_CHECKING:
    from hilum.bundle.card import Card
    from hilum.bundle.prediction import Prediction
    from hilum.radiograph import Radiograph


def json_writer() -> Callable[[Prediction, Radiograph | None], None]:
    """Prints one object a line."""
    write = row_printer()
    return lambda prediction, _: write(f"{to_json_line(prediction)}\n")


def csv_writer(path: Path, card: Card, stack: ExitStack) -> Callable[[Prediction, Radiograph | None], None]:
    """Begins the file, which the stack closes, and adds a row for each prediction."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = stack.enter_context(path.open("wb", buffering=0))
    rows = csv.writer(RowFile(file.fileno(), str(path)))
    rows.writerow(csv_header(card))

    def write(prediction: Prediction, _: Radiograph | None) -> None:
        rows.writerow(csv_cell(printable(cell)) for cell in to_csv_row(prediction, card))

    return write
