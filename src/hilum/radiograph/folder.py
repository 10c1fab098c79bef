"""Films below a folder, told from what lies beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hilum.radiograph.errors import ReadError
from hilum.radiograph.read import open_film, recognize

PICTURE_SUFFIXES = frozenset({".dcm", ".dicom", ".jpg", ".jpeg", ".png"})


def files_below(folder: Path) -> Iterator[Path]:
    """Files in a stable order; hidden ones and links to folders are left alone."""
    for entry in sorted(folder.iterdir()):
        if entry.name.startswith("."):
            continue
        if entry.is_dir() and not entry.is_symlink():
            yield from files_below(entry)
        elif entry.is_file():
            yield entry


def may_be_film(path: Path) -> bool:
    """Whether a file is JPEG, PNG or DICOM by its content or claims so by its name: reading it says what is wrong."""
    if path.suffix.lower() in PICTURE_SUFFIXES:
        return True
    try:
        with open_film(path) as file:
            return recognize(file.read(132)) is not None
    except (OSError, ReadError):
        return True  # let reading it report why it cannot be opened
