"""From the paths a user typed to the files that a command works on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from hilum.radiograph import ReadError, open_film, recognize

PICTURE_SUFFIXES = frozenset({".dcm", ".dicom", ".jpg", ".jpeg", ".png"})


class Found(NamedTuple):
    """A file to work on, and where its results belong relative to an output folder."""

    path: Path
    relative: Path


def find_films(paths: list[Path]) -> tuple[list[Found], int]:
    """Every named file, and every film below the named folders; also how many other files were passed over.

    Below a folder a file counts if its content is JPEG, PNG or DICOM or its name claims so: notes and tables beside
    the films are no errors there, while a file named outright always counts.
    """
    found: list[Found] = []
    others = 0
    for path in paths:
        if not path.is_dir():
            found.append(Found(path, Path(path.name)))
            continue
        for file in _walk(path):
            if file.suffix.lower() in PICTURE_SUFFIXES or _looks_like_film(file):
                found.append(Found(file, file.relative_to(path)))
            else:
                others += 1
    return found, others


def _walk(folder: Path) -> Iterator[Path]:
    """Files below a folder in a stable order; hidden ones and links to folders are left alone."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from _walk(entry)
        elif entry.is_file():
            yield entry


def _looks_like_film(path: Path) -> bool:
    try:
        with open_film(path) as file:
            return recognize(file.read(132)) is not None
    except (OSError, ReadError):
        return True  # let reading it report why it cannot be opened
