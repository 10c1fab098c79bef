"""`hilum data store`: films decoded once, at one size, for everything that trains or judges."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report
from hilum.system.cores import MOST_PROCESSES
from hilum.system.rows import write_csv
from hilum.system.text import megabytes

if TYPE_CHECKING:
    from hilum.radiograph.geometry import Geometry

GeometryMode = Annotated[
    Literal["squash", "fit", "crop"],
    typer.Option(
        help="squash ignores the aspect ratio, fit pads with black, crop cuts what overhangs.",
        metavar="squash|fit|crop",
    ),
]
Keep = Annotated[
    float, typer.Option(help="Look at this central share of the film only.", min=0.1, max=1.0, metavar="SHARE")
]


def store(
    manifest: Annotated[Path, typer.Argument(help="The manifest whose films are stored.", metavar="MANIFEST")],
    size: Annotated[str, typer.Option(help="Height and width: 224, or 256x300.", metavar="SIZE")] = "224",
    geometry: GeometryMode = "squash",
    keep: Keep = 1.0,
    out: Annotated[
        Path | None,
        typer.Option(
            "-o", "--out", help="The folder that holds stores; else HILUM_HOME or the user's cache.", metavar="DIR"
        ),
    ] = None,
    skip_bad: Annotated[
        int,
        typer.Option(help="Go on over up to so many films that cannot be decoded.", min=0, metavar="N"),
    ] = 0,
    processes: Annotated[
        int | None, typer.Option(help="Decode in so many processes.", min=1, max=MOST_PROCESSES, metavar="N")
    ] = None,
) -> None:
    """Decode every film once into a file that training maps into memory; killed, it goes on where it stopped."""
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest
    from hilum.dataset.store.store import StoreError, build_store

    wanted = parse_geometry(size, geometry, keep)
    with one_line(ManifestError, StoreError), report("decoding films") as on_progress:
        loaded = load_manifest(manifest)
        made = build_store(loaded, wanted, out, skip_bad=skip_bad, on_progress=on_progress, processes=processes)
        if made.skipped:
            listed = made.folder / "skipped.csv"
            paths = dict(loaded.table.select("file_digest", "path").iter_rows())
            write_csv(listed, ((paths[digest], reason) for digest, reason in sorted(made.skipped.items())))
            say(f"films skipped: {len(made.skipped):,}, listed in {listed}")
    films, height, width = made.pixels.shape
    say(f"{films:,} distinct films, {wanted}, {megabytes(films * height * width)} in {made.folder}")


def parse_geometry(size: str, mode: Literal["squash", "fit", "crop"], keep: float) -> Geometry:
    """The geometry that the options describe, or a usage error."""
    from hilum.radiograph.geometry import Geometry, parse_size

    try:
        return Geometry(mode, *parse_size(size), keep=keep)
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
