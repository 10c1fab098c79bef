"""The films that are to be read: those of a manifest, or those below a folder, which is not decoded for it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.dataset.readings.reading import check_reader
from hilum.radiograph.folder import files_below, may_be_film
from hilum.system.text import UNSAFE

MADE = "manifest.parquet"
USUAL = ("normal", "pneumonia")
MOST_CLASSES = 9  # a key each


class RoomError(ValueError):
    """What no reading room can be opened for, in one line that says what to do."""


@dataclass(frozen=True, slots=True, eq=False)
class FilmSet:
    """Films by their paths in `folder`; `source` is the manifest's file or the folder, `manifest` None for a folder."""

    source: Path
    folder: Path
    paths: tuple[str, ...]
    manifest: Manifest | None = None

    def path(self, film: int) -> Path:
        """Where a film lies."""
        return self.folder / self.paths[film]

    def column(self, name: str) -> list[str | None]:
        """What a column of the manifest says of each film, as text. Raises RoomError where there is none."""
        if self.manifest is None:
            raise RoomError(f"{self.source}: a folder has no columns; make a manifest of it first: hilum data import")
        if name not in self.manifest.table.columns:
            raise RoomError(f"{self.source}: has no column {name}")
        return [None if value is None else str(value) for value in self.manifest.table[name].to_list()]

    def classes(self) -> tuple[str, ...]:
        """The classes that its films have so far, or the usual ones."""
        if self.manifest is None:
            return USUAL
        found = tuple(sorted(self.manifest.table["label"].drop_nulls().unique()))
        return found or USUAL


def open_films(path: Path) -> FilmSet:
    """The manifest at a path, or that in a folder, or else the folder's films. Raises ManifestError or RoomError."""
    if not path.exists():
        raise RoomError(f"{path}: there is no such manifest or folder")
    source = path / MADE if (path / MADE).is_file() else path
    if not source.is_dir():
        manifest = load_manifest(source)
        films = FilmSet(source, manifest.folder, tuple(manifest.table["path"]), manifest)
    else:
        found = [file.relative_to(source).as_posix() for file in files_below(source) if may_be_film(file)]
        films = FilmSet(source, source, tuple(found))
    if not films.paths:
        raise RoomError(f"{path}: holds no films")
    return films


def check_readers(readers: tuple[str, ...], option: str) -> None:
    """Refuse names that cannot be readers', as given by an option. Raises RoomError."""
    for reader in readers:
        try:
            check_reader(reader)
        except ValueError as error:
            raise RoomError(f"{option}: {error}") from None
    if len(set(readers)) < len(readers):
        raise RoomError(f"{option}: a reader is named twice")


def checked_classes(classes: tuple[str, ...], where: str) -> tuple[str, ...]:
    """Classes that can be offered. Raises RoomError."""
    for name in classes:
        if not name or name != name.strip() or UNSAFE.search(name):
            raise RoomError(f"{where}: a class has an empty or unprintable name")
    if len(set(classes)) < len(classes):
        raise RoomError(f"{where}: a class is named twice")
    if not 1 <= len(classes) <= MOST_CLASSES:
        raise RoomError(f"{where}: {len(classes)} classes; name 1 to {MOST_CLASSES}, each gets a key: --classes a,b")
    return classes
