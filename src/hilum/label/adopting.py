"""From a room's folder to a manifest of what was read there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path, PurePosixPath

import polars as pl

from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.readings.adopt import Adopted, adopt
from hilum.dataset.readings.folder import load_readings
from hilum.dataset.scan import scan_films
from hilum.label.films import FilmSet, open_films
from hilum.label.room import films_of_room

SOURCE = "read"  # of films that had no manifest
FACTS = ("format", "mode", "encoding", "bits", "width", "height", "file_bytes", "file_digest", "pixel_digest", "error")
OnProgress = Callable[[int, int], None]


def adopt_room(out: Path, by: str, positive: frozenset[str] | None, on_progress: OnProgress) -> Adopted:
    """What was read in a room as a manifest. Films are decoded only where their manifest does not know them.

    Raises RoomError, ReadingsError or ManifestError.
    """
    films = open_films(films_of_room(out))
    return adopt(manifest_of(films, on_progress), load_readings(out), by, positive)


def manifest_of(films: FilmSet, on_progress: OnProgress) -> Manifest:
    """The films' own manifest, or a new one: each film of a folder counts as a patient of its own."""
    table = films.manifest.table if films.manifest is not None else _listed(films)
    unknown = table["width"].is_null() & table["error"].is_null()
    places = unknown.arg_true().to_list()
    if not places:
        return Manifest(table, films.folder)
    facts = scan_films([films.path(place) for place in places], lambda done: on_progress(done, len(places)))
    known = [asdict(fact) for fact in facts]
    columns = []
    for name in FACTS:
        values = table[name].to_list()
        for place, fact in zip(places, known, strict=True):
            values[place] = fact[name]
        columns.append(pl.Series(name, values, SCHEMA[name]))
    return Manifest(table.with_columns(columns), films.folder)


def _listed(films: FilmSet) -> pl.DataFrame:
    rows = [
        {"path": path, "patient": str(PurePosixPath(path).with_suffix("")), "source": SOURCE} for path in films.paths
    ]
    return pl.DataFrame(rows, schema=SCHEMA, orient="row")
