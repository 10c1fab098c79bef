"""From the paths a user typed to the files that a command works on."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hilum.radiograph.folder import files_below, may_be_film


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
        for file in files_below(path):
            if may_be_film(file):
                found.append(Found(file, file.relative_to(path)))
            else:
                others += 1
    return found, others
