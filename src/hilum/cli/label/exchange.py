"""`hilum label import` and `hilum label export`: what was labeled elsewhere, and what was read here for elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import answer
from hilum.cli.terminal.progress import report


def import_(
    labels: Annotated[
        Path,
        typer.Argument(help="COCO, Label Studio's JSON, or a CSV as hilum label export writes it.", metavar="FILE"),
    ],
    data: Annotated[Path, typer.Argument(help="The films: a manifest, or a folder.", metavar="DATA")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The folder that readings are in.", metavar="DIR")],
    reader: Annotated[str, typer.Option(help="Whose readings they are.", metavar="NAME")],
) -> None:
    """Take what was labeled elsewhere as readings of a reader."""
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.readings.folder import ReadingsError
    from hilum.label.exchange.exchange import take
    from hilum.label.films import RoomError, open_films

    with one_line(ManifestError, ReadingsError, RoomError):
        answer(f"{take(labels, open_films(data), out, reader):,} films read by {reader}")


def export(
    folder: Annotated[Path, typer.Argument(help="The folder that readings are in.", metavar="DIR")],
    by: Annotated[
        str, typer.Option(help="Whose word counts: majority, adjudicated, or a reader's name.", metavar="WHO")
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The file to write.", metavar="FILE")],
    kind: Annotated[
        Literal["coco", "label-studio", "csv"], typer.Option("--as", help="Its format.", metavar="KIND")
    ] = "coco",
) -> None:
    """Write what was read for other programs: labels and boxes in pixels of the upright film."""
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.readings.folder import ReadingsError, load_readings
    from hilum.label.adopting import manifest_of
    from hilum.label.exchange.exchange import as_labeled, write_labeled
    from hilum.label.films import RoomError, open_films
    from hilum.label.room import films_of_room

    with one_line(ManifestError, ReadingsError, RoomError), report("reading films") as on_progress:
        manifest = manifest_of(open_films(films_of_room(folder)), on_progress)
        labeled = as_labeled(manifest, load_readings(folder), by)
        write_labeled(labeled, out, kind)
    answer(f"{out}: {len(labeled):,} films")
