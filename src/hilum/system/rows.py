"""Rows of a table in a file: no cell is taken for a formula, no row is half there."""

from __future__ import annotations

import csv
import os
import re
import stat
import sys
from collections.abc import Callable, Iterable
from io import StringIO
from pathlib import Path
from typing import Any

from hilum.system.files import not_written, write_all, write_whole

# What spreadsheets take for a formula, unless it is a plain number. Both expressions are also given to polars.
FORMULA, NUMBER = r"^'*[=+\-@\t\r]", r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$"
_FORMULA, _NUMBER = re.compile(FORMULA), re.compile(NUMBER)


def csv_cell(text: str) -> str:
    """A cell that no spreadsheet takes for a formula: one that begins like one gets an apostrophe before it."""
    return f"'{text}" if _FORMULA.match(text) and not _NUMBER.match(text) else text


def from_csv_cell(cell: str) -> str:
    """What `csv_cell` was given."""
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell


def write_csv(path: Path, rows: Iterable[Iterable[object]]) -> None:
    """Write a table, the whole of it or nothing. Raises OSError."""
    write_whole(path, csv_text(rows))


def csv_text(rows: Iterable[Iterable[object]]) -> str:
    """Rows as the text of a CSV file; texts are made cells by `csv_cell`."""
    text = StringIO(newline="")
    csv.writer(text).writerows([csv_cell(cell) if isinstance(cell, str) else cell for cell in row] for row in rows)
    return text.getvalue()


def row_printer() -> Callable[[str], Any]:
    """Prints rows, each at once; where standard output goes to a file, none is there by half."""
    try:
        descriptor = sys.stdout.fileno()
    except OSError:  # a notebook's or a test's, which is no file at all
        descriptor = None
    if descriptor is None or not stat.S_ISREG(os.fstat(descriptor).st_mode):
        return lambda row: print(row, end="", flush=True)
    sys.stdout.flush()
    return RowFile(descriptor, "standard output").write


class RowFile:
    """A file that gets rows one by one: each is whole in it or not there at all, and those before it stay.

    `name` is what errors call it.
    """

    def __init__(self, descriptor: int, name: str) -> None:
        self._descriptor = descriptor
        self._name = name
        self._can_shrink = stat.S_ISREG(os.fstat(descriptor).st_mode)

    def write(self, row: str) -> int:
        """Add a row; it is in the file when this returns. Raises OSError."""
        size = os.fstat(self._descriptor).st_size
        try:
            write_all(self._descriptor, row.encode())
        except OSError as error:
            if self._can_shrink:
                os.ftruncate(self._descriptor, size)
            raise not_written(error, self._name) from error
        return len(row)
