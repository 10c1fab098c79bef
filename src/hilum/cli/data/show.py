"""`hilum data show`: what a data set holds, as counts, as a contact sheet, and as a network is shown it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.table import print_table
from hilum.system.installed import install_extra
from hilum.system.pictures import write_figure, write_picture

if TYPE_CHECKING:
    from hilum.dataset.manifest.manifest import Manifest


def show(
    manifest: Annotated[Path, typer.Argument(help="The manifest to show.", metavar="MANIFEST")],
    png: Annotated[
        Path | None, typer.Option(help="Write a contact sheet of films to this file.", metavar="FILE")
    ] = None,
    summary: Annotated[
        bool, typer.Option("--summary", help="Box sizes as well, and with --png counts and box sizes as a picture.")
    ] = False,
    as_trained: Annotated[
        str | None,
        typer.Option(
            help="With --png: films as a network sees them that is trained by this recipe, each as it is and varied.",
            metavar="RECIPE",
        ),
    ] = None,
    count: Annotated[
        int | None,
        typer.Option(
            "-n",
            "--count",
            help="How many films a picture shows, balanced over the labels.",
            min=1,
            metavar="N",
            show_default="24, or 6 with --as-trained",
        ),
    ] = None,
    columns: Annotated[int, typer.Option(help="How many pictures stand side by side.", min=1, max=40, metavar="N")] = 6,
    label: Annotated[str | None, typer.Option(help="Only films of this label.", metavar="NAME")] = None,
    split: Annotated[str | None, typer.Option(help="Only films of this split.", metavar="NAME")] = None,
    seed: Annotated[int, typer.Option(help="Another seed draws other films.", min=0, metavar="N")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print the counts as JSON objects, one a line.")] = False,
) -> None:
    """Show the counts of a data set by split and label, and with --png its films with labels and boxes."""
    import polars as pl

    from hilum.dataset.manifest.manifest import Manifest, ManifestError, load_manifest
    from hilum.dataset.manifest.side import side_of_film
    from hilum.dataset.store.store import StoreError

    if as_trained is not None and (summary or png is None):
        raise typer.BadParameter("--as-trained draws films: name the picture with --png FILE, without --summary")
    with one_line(ManifestError, StoreError):
        loaded = load_manifest(manifest)
        table = loaded.table
        if label is not None:
            table = table.filter(pl.col("label") == label)
        if split is not None:
            table = table.filter(side_of_film() == split)
        if table.is_empty():
            say(f"{manifest}: no film has this label and split")
            raise typer.Exit(1)
        chosen = Manifest(table, loaded.folder)
        if as_json:
            for row in count_films(chosen):
                print(json.dumps(row))
        else:
            print_counts(chosen)
        if summary:
            _summarize(chosen, png, quiet=as_json)
        elif as_trained is not None and png is not None:
            _preview(chosen, as_trained, png, Choice(count or 6, columns, seed))
        elif png is not None:
            from hilum.dataset.contact_sheet import draw_sheet, sample_films

            write_picture(draw_sheet(loaded, sample_films(table, count or 24, seed), columns), png)
            say(f"contact sheet written to {png}")


class Choice(NamedTuple):
    """Which films a picture shows, and how many pictures stand side by side."""

    films: int
    columns: int
    seed: int


def _summarize(chosen: Manifest, png: Path | None, *, quiet: bool) -> None:
    from hilum.dataset.summary import BOX_HEADER, box_rows, draw_summary, summarize

    parts = summarize(chosen)
    if not any(len(part.areas) for part in parts):
        say("boxes: none are known")
    elif not quiet:
        print()
        print_table(BOX_HEADER, box_rows(parts))
    if png is not None:
        write_figure(draw_summary(parts), png)
        say(f"summary written to {png}")


def _preview(chosen: Manifest, name: str, png: Path, choice: Choice) -> None:
    if find_spec("torch") is None:
        say(f"--as-trained shows what training does, and needs its packages: {install_extra('train')}")
        raise typer.Exit(1)
    from hilum.training.preview import draw_preview
    from hilum.training.recipe import RecipeError, load_recipe

    with one_line(RecipeError):
        write_picture(draw_preview(chosen, load_recipe(name), *choice), png)
    say(f"films as {name} trains on them written to {png}")


def count_films(manifest: Manifest) -> list[dict[str, Any]]:
    """Images, patients and boxes for each split and label."""
    import polars as pl

    from hilum.dataset.manifest.side import side_of_film

    counts = manifest.table.group_by(side_of_film().alias("split"), "label").agg(
        pl.len().alias("images"),
        pl.col("patient").n_unique().alias("patients"),
        pl.col("boxes").list.len().sum().alias("boxes"),
        pl.col("error").count().alias("unreadable"),
    )
    return counts.sort("split", "label", nulls_last=True).to_dicts()


def print_counts(manifest: Manifest) -> None:
    """The counts as a table on standard output."""
    rows = count_films(manifest)
    cells = [[f"{value:,}" if isinstance(value, int) else value or "-" for value in row.values()] for row in rows]
    print_table(("split", "label", "images", "patients", "boxes", "unreadable"), cells)
