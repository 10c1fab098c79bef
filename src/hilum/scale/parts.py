"""Parts of the results: one Parquet file a shard, whole or absent, one row a film."""

from __future__ import annotations

import json
from collections.abc import Sequence
from io import BytesIO
from pathlib import PurePosixPath
from typing import Any, NamedTuple

import polars as pl

from hilum.bundle.card import Card
from hilum.output.table import csv_header
from hilum.scale.results import Results

IN_FOLDER = 1000  # parts
SLOWEST = 5  # films of a part whose time is kept
ABOUT = "hilum"  # by which a part's own figures stand in its file
NUMBERS = frozenset({"probability", "patient_group_probability", "threshold", "gate_distance"})
WHOLE_NUMBERS = frozenset({"height", "width"})
Row = dict[str, Any]


class Judged(NamedTuple):
    """A film's row, the seconds that it took, and its traits, by which kinds of films are told, where they are kept."""

    row: Row
    seconds: float
    traits: bytes = b""


def schema_of(card: Card, overlays: bool) -> dict[str, pl.DataType]:
    """The columns: those of `hilum predict --csv`, but a film is told by its address and its name in an archive."""
    names = [name for name in csv_header(card) if name != "file"]
    return {
        **{"uri": pl.String(), "member": pl.String()},
        **{name: _kind(name) for name in names},
        **({"overlay": pl.String()} if overlays else {}),
    }


def _kind(name: str) -> pl.DataType:
    if name in WHOLE_NUMBERS:
        return pl.Int32()
    return pl.Float64() if name in NUMBERS or name.startswith("p_") else pl.String()


def part_name(shard: int) -> str:
    """Where the part of a shard lies."""
    return f"rows/{shard // IN_FOLDER:05}/part-{shard:08}.parquet"


def write_part(results: Results, shard: int, films: Sequence[Judged], schema: dict[str, pl.DataType]) -> None:
    """Put the part of a shard into its place. Raises OSError."""
    rows = [{name: film.row.get(name) for name in schema} for film in films]
    slowest = sorted(films, key=lambda film: film.seconds, reverse=True)[:SLOWEST]
    about = {
        "slowest": [[round(film.seconds, 3), film.row["uri"], film.row["member"]] for film in slowest],
        "seconds": round(sum(film.seconds for film in films), 3),
        "traits": [film.traits.decode() for film in films if film.traits],
    }
    content = BytesIO()
    pl.DataFrame(rows, schema=schema).write_parquet(content, metadata={ABOUT: json.dumps(about)})
    results.write(part_name(shard), content.getvalue())


def parts_done(results: Results) -> set[int]:
    """The shards whose parts are there. Raises OSError."""
    return {int(PurePosixPath(name).stem.removeprefix("part-")) for name in results.parts()}


def read_part(results: Results, name: str, columns: list[str]) -> tuple[pl.DataFrame, dict[str, Any]]:
    """Columns of a part, and its own figures: its slowest films, the seconds of all of them, and the traits of some.

    Raises PolarsError where it is damaged, and OSError.
    """
    content = results.read(name)
    about: dict[str, Any] = json.loads(pl.read_parquet_metadata(BytesIO(content))[ABOUT])
    return pl.read_parquet(BytesIO(content), columns=columns), about
