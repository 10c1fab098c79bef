"""`hilum data import`: a folder of films, or a table that lists some, becomes a manifest."""

from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report
from hilum.cli.terminal.table import print_table
from hilum.dataset.sources import SOURCES, SourceError
from hilum.system.cores import MOST_PROCESSES

if TYPE_CHECKING:
    from hilum.dataset.manifest.manifest import Manifest

COLUMNS = ("class", "official split", "images", "patients", "boxes", "unreadable")
KINDS = "\n".join(["Kinds", *(f"{kind}: {source.layout}" for kind, source in SOURCES.items())])


def import_(
    words: Annotated[
        list[str],
        typer.Argument(help="The data set; its kind is told by the layout unless named.", metavar="[KIND] PATH"),
    ],
    out: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--out",
            help="The manifest to write, .parquet or .csv; PATH/manifest.parquet if left out.",
            metavar="FILE",
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option("--map", help="For a table: path=Image, label=Finding, ...", metavar="NAME=COLUMN"),
    ] = None,
    labels: Annotated[
        list[str] | None, typer.Option("--label", help="For a table: rename a label value.", metavar="OLD=NEW")
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the manifest if it is there.")] = False,
    processes: Annotated[
        int | None, typer.Option(min=1, max=MOST_PROCESSES, help="Decode in so many processes.", metavar="N")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as one JSON object.")] = False,
) -> None:
    """Make a manifest: a table of the films, what is known of them, and digests of their content.

    Every film is decoded once; one that cannot be read is a row with the reason. Nothing is copied or changed.
    """
    from hilum.dataset.importing import import_folder
    from hilum.dataset.manifest.manifest import ManifestError, save_manifest

    kind, path = _kind_and_path(words)
    target = out or (path if path.is_dir() else path.parent) / "manifest.parquet"
    with one_line(ManifestError, SourceError):
        _check_target(target, force)
        with report("reading films") as on_progress:
            manifest, notices, kind = import_folder(
                path,
                kind,
                columns=_pairs(columns, "--map"),
                labels=_pairs(labels, "--label"),
                on_progress=on_progress,
                processes=processes,
            )
        save_manifest(manifest, target)
    classes, total = _counts(manifest)
    if as_json:
        made = {"kind": kind, "manifest": str(target), "digest": manifest.digest}
        print(json.dumps({**made, **total, "classes": classes, "notices": notices}))
        return
    say(f"read as {kind}: {SOURCES[kind].layout}")
    rows = [*classes, {"label": "all", "official_split": "", **total}]
    print_table(COLUMNS, [[_cell(value) for value in row.values()] for row in rows])
    for notice in notices:
        say(f"note: {notice}")
    say(f"{manifest.table.height:,} films written to {target}")
    say(f"next: hilum data audit {shlex.quote(str(target))}")


def _kind_and_path(words: list[str]) -> tuple[str | None, Path]:
    match words:
        case [path] if path in SOURCES and not Path(path).exists():
            raise typer.BadParameter(f"{path} is a kind of data set; name its folder too")
        case [path]:
            return None, Path(path)
        case [kind, path] if kind in SOURCES:
            return kind, Path(path)
        case [kind, _]:
            raise typer.BadParameter(f"no kind of data set is called {kind}; one of {', '.join(SOURCES)}")
    raise typer.BadParameter("give one folder or table, and at most its kind before it")


def _check_target(target: Path, force: bool) -> None:
    """Whatever would keep the manifest from being written is said before the films are read."""
    if target.suffix.lower() not in (".parquet", ".csv"):
        raise SourceError(f"{target}: a manifest is a .parquet or .csv file; name it so")
    if not target.parent.is_dir():
        raise SourceError(f"{target.parent}: there is no such folder")
    if not os.access(target.parent, os.W_OK):
        raise SourceError(f"{target.parent}: cannot be written to; give another place with -o")
    if target.exists() and not force:
        raise SourceError(f"{target}: is there already; --force overwrites it")


def _pairs(words: list[str] | None, option: str) -> dict[str, str]:
    pairs = {}
    for word in words or ():
        old, equals, new = word.partition("=")
        if not (old and equals and new):
            raise typer.BadParameter(f"{option} {word}: write two names with '=' between them")
        pairs[old] = new
    return pairs


def _counts(manifest: Manifest) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """What there is of each class in each split as published, and of all."""
    import polars as pl

    counts = (
        pl.len().alias("images"),
        pl.col("patient").n_unique().alias("patients"),
        pl.col("boxes").list.len().sum().alias("boxes"),
        pl.col("error").count().alias("unreadable"),
    )
    classes = manifest.table.group_by("label", "official_split").agg(*counts)
    return classes.sort("label", "official_split", nulls_last=True).to_dicts(), manifest.table.select(*counts).row(
        0, named=True
    )


def _cell(value: str | int | None) -> str:
    return f"{value:,}" if isinstance(value, int) else value or ""
