"""What every source gives: rows for the films that are there, and notices on what it assumed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path, PurePosixPath
from typing import Literal, NamedTuple

from hilum.dataset.manifest.csv_table import read_csv
from hilum.radiograph import recognize

PICTURE_SUFFIXES = frozenset({".dcm", ".dicom", ".jpg", ".jpeg", ".png"})


class SourceError(ValueError):
    """A folder or table that is not what its kind of source looks like. One line: what is wrong and what to do."""


@dataclass(slots=True)
class Entry:
    """What a source says of one film, before the film itself is read; the columns of a Manifest say more of each."""

    path: str  # relative to the folder that is imported
    label: str | None
    patient: str | None = None  # None where the source does not tell patients apart
    pneumonia: bool | None = None
    findings: list[str] = field(default_factory=list)
    boxes: list[list[float]] | None = None  # in fractions of the picture, unless boxes_of says otherwise
    # Boxes in pixels: of a picture this wide and high, or of the film itself, whatever its size.
    boxes_of: tuple[int, int] | Literal["film"] | None = None
    study: str | None = None
    view: str | None = None
    sex: str | None = None
    age: float | None = None
    official_split: str | None = None
    split: str | None = None


class Listing(NamedTuple):
    """The films of a source, and what was assumed on reading it."""

    entries: list[Entry]
    notices: list[str]


@dataclass(frozen=True, slots=True)
class Source:
    """A kind of data set: how its layout looks, said in words and tested, and how it is read."""

    layout: str
    recognize: Callable[[Path], bool]
    read: Callable[[Path], Listing]


class Record(NamedTuple):
    """A row of a source's table, and what to call it in an error."""

    where: str
    cells: dict[str, str]


def read_records(path: Path, needed: Iterable[str]) -> list[Record]:
    """The rows of a source's CSV table, with blanks around the cells taken off."""
    header, rows, lines = read_csv(path, SourceError)
    for name in needed:
        if name not in header:
            raise SourceError(f"{path}: there is no column {name!r}; is it the table that its name says?")
    return [
        Record(f"{path}: line {line}", {name: cell.strip() for name, cell in zip(header, row, strict=True)})
        for row, line in zip(rows, lines, strict=True)
    ]


def header_has(path: Path, *names: str) -> bool:
    """Whether a table begins with a line that names these columns."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.readline(4096).decode("utf-8-sig", "replace").strip()
    return set(names) <= set(header.split(","))


def films_below(folder: Path) -> list[Path]:
    """The films below a folder in a stable order. Hidden files and folders (macOS leaves such) are passed over."""
    films = []
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith((".", "__MACOSX"))]
        for name in names:
            path = Path(place, name)
            if not name.startswith(".") and path.is_file() and _is_film(path):
                films.append(path)
    return sorted(films)


def _is_film(path: Path) -> bool:
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    if path.suffix:
        return False
    with path.open("rb") as file:  # DICOM archives name their files without a suffix
        return recognize(file.read(132)) is not None


def relative(path: Path, folder: Path) -> str:
    """The path as a manifest writes it."""
    written = path.relative_to(folder).as_posix()
    try:
        written.encode()
    except UnicodeEncodeError:
        raise SourceError(f"{folder}: the name {written!r} is not UTF-8; rename the film") from None
    if "\\" in written:
        raise SourceError(f"{folder}: the name {written!r} has a backslash; rename the film")
    return written


def listed_film(record: Record, column: str, folder: Path) -> Path | None:
    """The film that a table names by its place below `folder`; None where it is not there."""
    name = PurePosixPath(record.cells[column])
    if not name.parts or name.is_absolute() or ".." in name.parts:
        raise SourceError(f"{record.where}, column {column}: no path below the table's folder; correct it")
    return folder / name if (folder / name).is_file() else None


def subfolder(folder: Path, name: str) -> Path | None:
    """The folder of that name whatever its case: copies of data sets differ in it."""
    matches = [entry for entry in folder.iterdir() if entry.name.lower() == name.lower() and entry.is_dir()]
    return min(matches, default=None)


def listing(folder: Path, entries: list[Entry], notices: list[str], absent: int = 0, where: str = "") -> Listing:
    """The entries in the order of their paths; `absent` films that a table lists were left out, all being an error."""
    if absent and not entries:
        raise SourceError(f"{folder}: none of the {absent:,} listed films lies in {where}; put the films there")
    if not entries:
        raise SourceError(f"{folder}: no films found; give a folder that holds JPEG, PNG or DICOM files")
    if absent:
        notices = [
            f"{absent:,} of {absent + len(entries):,} listed films are not in {where} and were left out",
            *notices,
        ]
    entries = sorted(entries, key=lambda entry: entry.path)
    for entry, following in pairwise(entries):
        if entry.path == following.path:
            raise SourceError(f"{folder}: {entry.path} is listed twice; keep one line a film")
    return Listing(entries, notices)


def chosen(record: Record, column: str, meanings: Mapping[str, str]) -> str:
    """The meaning of a cell that may hold only certain words."""
    try:
        return meanings[record.cells[column]]
    except KeyError:
        known = ", ".join(map(repr, meanings))
        raise SourceError(f"{record.where}, column {column}: none of {known}; correct the table") from None
