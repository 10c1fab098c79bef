"""`hilum data show`: what a data set holds, as counts and as a contact sheet."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.table import print_table
from hilum.system.pictures import write_picture

if TYPE_CHECKING:
    from hilum.dataset.manifest.manifest import Manifest


def show(
    manifest: Annotated[Path, typer.Argument(help="The manifest to show.", metavar="MANIFEST")],
    png: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of films to this file.", metavar="FILE")
    ] = None,
    count: Annotated[int, typer.Option(help="How many films the sheet shows, balanced over the labels.", min=1)] = 24,
    columns: Annotated[int, typer.Option(help="How many films stand side by side.", min=1, max=40)] = 6,
    label: Annotated[str | None, typer.Option(help="Only films of this label.")] = None,
    split: Annotated[str | None, typer.Option(help="Only films of this split.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other films.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON objects, one a line.")] = False,
) -> None:
    """Show the counts of a data set by split and label, and with --png its films with labels and boxes."""
    import polars as pl

    from hilum.dataset.contact_sheet import choose_films, draw_sheet
    from hilum.dataset.manifest.manifest import Manifest, ManifestError, load_manifest

    with one_line(ManifestError):
        loaded = load_manifest(manifest)
        table = loaded.table
        if label is not None:
            table = table.filter(pl.col("label") == label)
        if split is not None:
            table = table.filter(pl.coalesce("split", "official_split") == split)
        if table.is_empty():
            say(f"{manifest}: no film has this label and split")
            raise typer.Exit(1)
        chosen = Manifest(table, loaded.folder)
        if as_json:
            for row in count_films(chosen):
                print(json.dumps(row))
        else:
            print_counts(chosen)
        if png is not None:
            write_picture(draw_sheet(loaded, choose_films(table, count, seed), columns), png)
            say(f"contact sheet written to {png}")


def count_films(manifest: Manifest) -> list[dict[str, Any]]:
    """Images, patients and boxes for each split and label."""
    import polars as pl

    counts = manifest.table.group_by(pl.coalesce("split", "official_split").alias("split"), "label").agg(
        pl.len().alias("images"),
        pl.col("patient").n_unique().alias("patients"),
        pl.col("boxes").list.len().sum().alias("boxes"),
        pl.col("error").count().alias("unreadable"),
    )
    return counts.sort("split", "label", nulls_last=True).to_dicts()


def print_counts(manifest: Manifest) -> None:
    rows = count_films(manifest)
    cells = [[f"{value:,}" if isinstance(value, int) else value or "-" for value in row.values()] for row in rows]
    print_table(("split", "label", "images", "patients", "boxes", "unreadable"), cells)
