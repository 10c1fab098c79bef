"""From a folder on disk to a Manifest: what the source says of its films joined with what the films say themselves."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import polars as pl

from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.scan import FileFacts, scan_films
from hilum.dataset.sources import SOURCES, Entry, SourceError, recognize, table


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
        entries, notices = table.read(path, columns or {}, labels or {})
    elif columns or labels:
        raise SourceError(f"{path}: --map and --label are for tables, and this is the folder layout {kind}")
    elif path.is_dir():
        entries, notices = SOURCES[kind].read(path)
    else:
        raise SourceError(f"{path}: {kind} is a folder, and this is a file")
    folder = path.parent if kind == "table" else path
    report = (lambda done: on_progress(done, len(entries))) if on_progress else None
    films = scan_films([folder / entry.path for entry in entries], report, processes)
    if unreadable := [
        (entry.path, film.error) for entry, film in zip(entries, films, strict=True) if film.error is not None
    ]:
        name, why = unreadable[0]
        first = f"{name}: {why}" if len(unreadable) == 1 else f"the first {name}: {why}"
        notices = [*notices, f"{len(unreadable):,} of {len(films):,} films cannot be read, {first}"]
    records = [_join(kind, entry, film) for entry, film in zip(entries, films, strict=True)]
    manifest = Manifest(pl.DataFrame(records, schema=SCHEMA, orient="row"), folder)
    if beyond := sum(max(x + w, y + h) > 1.01 or min(x, y) < -0.01 for x, y, w, h in _boxes(manifest)):
        notices = [*notices, f"{beyond:,} boxes reach beyond their film: do they belong to another size of it?"]
    return manifest, notices, kind


def _join(kind: str, entry: Entry, film: FileFacts) -> dict[str, object]:
    """A row of the manifest. What the source states of the view stands above the film's own header."""
    stated = asdict(entry)
    stated.pop("boxes_of")
    return {
        **asdict(film),
        **stated,
        "source": kind,
        "patient": entry.patient or str(PurePosixPath(entry.path).with_suffix("")),
        "boxes": _fractions(entry, film),
        "view": entry.view or film.view,
    }


def _fractions(entry: Entry, film: FileFacts) -> list[list[float]] | None:
    if entry.boxes is None or entry.boxes_of is None:
        return entry.boxes
    width, height = (film.width, film.height) if entry.boxes_of == "film" else entry.boxes_of
    if not width or not height:  # unreadable: boxes of a picture of unknown size
        return None
    return [[x / width, y / height, w / width, h / height] for x, y, w, h in entry.boxes]


def _boxes(manifest: Manifest) -> list[list[float]]:
    return [box for boxes in manifest.table["boxes"].to_list() for box in boxes or ()]
