"""What a bundle is judged on: a manifest, or a folder of films as it lies."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, ManifestError, load_manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.sources import SOURCES

MADE = "manifest.parquet"  # where `hilum data import` and `hilum train` leave a folder's manifest


@dataclass(frozen=True, slots=True, eq=False)
class DataSet:
    """Films of known truth. `name` is the file's or folder's own, without where it lies, which is nobody's concern.

    `assumed` are sentences on what reading a folder took for granted.
    """

    manifest: Manifest
    name: str
    assumed: tuple[str, ...] = ()

    @property
    def usual_split(self) -> str:
        """test; or all, for a folder read as it lies in which nothing is set apart."""
        unsplit = self.manifest.table.select(side_of_film().is_null().all()).item()
        return "all" if unsplit and self.assumed else "test"


def open_data_set(path: Path, on_progress: Callable[[int, int], None] | None = None) -> DataSet:
    """The manifest at this path, or that of this folder. A folder without one is read as its layout says.

    Nothing is written: a manifest that was never audited nor split, left in the folder, would be trained on next.
    """
    if not path.exists():
        raise ManifestError(f"{path}: there is no such manifest or folder")
    name = path.name or path.resolve().name
    if not path.is_dir():
        return DataSet(load_manifest(path), name)
    if (path / MADE).is_file():
        return DataSet(load_manifest(path / MADE), name)
    manifest, notices, kind = import_folder(path, on_progress=on_progress)
    read_as = f"the films were read as {kind}: {SOURCES[kind].layout}"
    return DataSet(manifest, name, tuple(map(_sentence, (read_as, *notices))))


def _sentence(notice: str) -> str:
    return f"{notice[0].upper()}{notice[1:]}."
