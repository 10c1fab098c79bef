"""A manifest becomes class folders per split, for tools that know nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from PIL import Image

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry
from hilum.system.files import write_whole
from hilum.system.pictures import write_picture


class ExportError(ValueError):
    """A data set that cannot be written out as folders; one line with what to do."""


def export_folders(
    manifest: Manifest,
    folder: Path,
    geometry: Geometry | None = None,
    *,
    on_progress: Callable[[int, int], None],
    store_folder: Path | None = None,
) -> tuple[int, int]:
    """Write `folder/split/label/name` for each film that has a label; the number written, and of those left out.

    Files are copied as they are; with a geometry they become 8-bit PNG of that size.
    """
    if folder.exists() and any(folder.iterdir()):
        raise ExportError(f"{folder}: is not empty; choose an empty folder")
    columns = ("path", side_of_film().alias("side"), "label", "file_digest", "error")
    films = sorted(manifest.table.select(*columns).iter_rows())
    wanted = [film for film in films if film[2] is not None and film[4] is None]
    if not wanted:
        raise ExportError(f"{folder}: no film has a label, so there are no class folders to write")
    store = build_store(manifest, geometry, store_folder, skip_bad=len(films)) if geometry else None
    rows = store.rows([film[3] for film in wanted]) if store else None
    taken: set[Path] = set()
    for number, (path, side, label, _, _) in enumerate(wanted):
        source = manifest.path(path)
        name = source.name if store is None else f"{source.stem}.png"
        target = _free_name(folder / _safe(side or "all") / _safe(label) / _safe(name), taken)
        target.parent.mkdir(parents=True, exist_ok=True)
        if store is None or rows is None:
            write_whole(target, source.read_bytes(), durable=False)
        else:
            write_picture(Image.fromarray(store.pixels[rows[number]]), target, durable=False)
        on_progress(number + 1, len(wanted))
    return len(wanted), len(films) - len(wanted)


def _safe(name: str) -> str:
    """A name that stays in its folder on every file system, whatever a table says."""
    return re.sub(r"[^\w.+-]+", "_", name).strip("._") or "unnamed"


def _free_name(path: Path, taken: set[Path]) -> Path:
    """The path, numbered where another film of that class has its name already."""
    number, free = 2, path
    while free in taken:
        free = path.with_name(f"{path.stem}-{number}{path.suffix}")
        number += 1
    taken.add(free)
    return free
