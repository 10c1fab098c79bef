"""CSV files as people and spreadsheets really write them, read as text with the line of every row."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import NamedTuple

from hilum.system.rows import from_csv_cell


class CsvTable(NamedTuple):
    """The cells of a CSV file. `lines` are where the rows start in the file: a quoted cell may hold line breaks."""

    header: list[str]
    rows: list[list[str]]
    lines: list[int]


def read_csv(path: Path, refusal: type[ValueError]) -> CsvTable:
    """Read a comma-separated UTF-8 table with a header line; anything else raises `refusal` with what to do."""
    header: list[str] = []
    rows: list[list[str]] = []
    lines: list[int] = []
    # utf-8-sig: Excel's "CSV UTF-8" begins with a byte order mark.
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(file, strict=True)
        line = 1
        try:
            for cells in reader:
                if not header:
                    header = _checked_header(path, cells, refusal)
                elif cells and len(cells) != len(header):
                    raise refusal(
                        f"{path}: row {len(rows) + 1} (line {line}) has {len(cells)} cells where the header has "
                        f"{len(header)}; put cells that hold a comma in double quotes"
                    )
                elif cells:  # a blank line has none
                    rows.append([from_csv_cell(cell) for cell in cells])
                    lines.append(line)
                line = reader.line_num + 1
        except csv.Error as error:
            raise refusal(f"{path}: line {line} is no valid CSV ({error}); look for a lone double quote") from None
        except UnicodeDecodeError:
            raise refusal(f"{path}: the text is not UTF-8; save it as 'CSV UTF-8 (comma delimited)'") from None
    if not header:
        raise refusal(f"{path}: the file is empty; the first line must name the columns")
    return CsvTable(header, rows, lines)


def _checked_header(path: Path, cells: list[str], refusal: type[ValueError]) -> list[str]:
    header = [cell.strip() for cell in cells]
    for separator, name in ((";", "semicolons"), ("\t", "tabs")):
        if len(header) == 1 and separator in header[0]:
            raise refusal(f"{path}: the cells are separated by {name}; save it as 'CSV UTF-8 (comma delimited)'")
    named = [name for name in header if name]  # pandas writes its index under an empty name
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        raise refusal(f"{path}: the column {twice[0]!r} stands in the header twice; remove or rename one")
    return header
