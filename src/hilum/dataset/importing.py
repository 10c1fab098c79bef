"""From a folder on disk to a Manifest: what the source says of its films joined with what the films say themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import polars as pl

from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.scan import Film, scan_films
from hilum.dataset.sources import SOURCES, Row, SourceError, recognize, table


def import_folder(
    path: Path,
    kind: str | None = None,
    *,
    columns: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    on_progress: Callable[[int, int], None] | None = None,
    processes: int | None = None,
) -> tuple[Manifest, list[str], str]:
    """The manifest of the films at `path`, what was assumed on the way, and the kind of source it was read as.

    `kind` is recognized by the layout unless given. `columns` and `labels` belong to a table: its column for each of
    the manifest's, and new names for its labels. `on_progress` is told how many films are done, of how many.
    """
    if not path.exists():
        raise SourceError(f"{path}: there is no such folder or table")
    kind = kind or recognize(path)
    if kind == "table":
        rows, notices = table.read(path, columns or {}, labels or {})
    elif columns or labels:
        raise SourceError(f"{path}: --map and --label are for tables, and this is the folder layout {kind}")
    elif path.is_dir():
        rows, notices = SOURCES[kind].read(path)
    else:
        raise SourceError(f"{path}: {kind} is a folder, and this is a file")
    folder = path.parent if kind == "table" else path
    report = (lambda done: on_progress(done, len(rows))) if on_progress else None
    films = scan_films([folder / row.path for row in rows], report, processes)
    if unreadable := [(row.path, film.error) for row, film in zip(rows, films, strict=True) if film.error is not None]:
        name, why = unreadable[0]
        first = f"{name}: {why}" if len(unreadable) == 1 else f"the first {name}: {why}"
        notices = [*notices, f"{len(unreadable):,} of {len(films):,} films cannot be read, {first}"]
    records = [_join(kind, row, film) for row, film in zip(rows, films, strict=True)]
    manifest = Manifest(pl.DataFrame(records, schema=SCHEMA, orient="row"), folder)
    if beyond := sum(max(x + w, y + h) > 1.01 or min(x, y) < -0.01 for x, y, w, h in _boxes(manifest)):
        notices = [*notices, f"{beyond:,} boxes reach beyond their film: do they belong to another size of it?"]
    return manifest, notices, kind


def _join(kind: str, row: Row, film: Film) -> dict[str, object]:
    """A row of the manifest. What the source states of the view stands above the film's own header."""
    said = asdict(row)
    said.pop("boxes_of")
    return {
        **asdict(film),
        **said,
        "source": kind,
        "patient": row.patient or str(PurePosixPath(row.path).with_suffix("")),
        "boxes": _fractions(row, film),
        "view": row.view or film.view,
    }


def _fractions(row: Row, film: Film) -> list[list[float]] | None:
    if row.boxes is None or row.boxes_of is None:
        return row.boxes
    width, height = (film.width, film.height) if row.boxes_of == "film" else row.boxes_of
    if not width or not height:  # unreadable: boxes of a picture of unknown size
        return None
    return [[x / width, y / height, w / width, h / height] for x, y, w, h in row.boxes]


def _boxes(manifest: Manifest) -> list[list[float]]:
    return [box for boxes in manifest.table["boxes"].to_list() for box in boxes or ()]
