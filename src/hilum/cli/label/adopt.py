"""`hilum label adopt`: what readers said becomes a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.progress import report


def adopt(
    folder: Annotated[Path, typer.Argument(help="The folder that readings are in.", metavar="DIR")],
    by: Annotated[
        str,
        typer.Option(
            help="Whose word counts: majority, adjudicated (what was settled, and what nobody disputed), or a reader's "
            "name.",
            metavar="WHO",
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The new manifest, .parquet or .csv.", metavar="MANIFEST")],
    positive: Annotated[
        str | None,
        typer.Option(help="The classes that mean pneumonia, where their names do not tell: a,b.", metavar="NAME"),
    ] = None,
) -> None:
    """Make a manifest of what was read: train, calibrate and evaluate take it as it is.

    Old labels stay beside the new ones (label_before; label_origin says who gave the new one), and so do patients,
    splits and films that nobody read. Films that were said to be lateral or not readable have no label, nor have those
    on which readers do not agree.
    """
    from hilum.dataset.manifest.manifest import ManifestError, save_manifest
    from hilum.dataset.readings.folder import ReadingsError
    from hilum.dataset.sources import SourceError
    from hilum.label.adopting import adopt_room
    from hilum.label.films import RoomError

    with one_line(ManifestError, ReadingsError, RoomError, SourceError):
        classes = frozenset(name.strip() for name in positive.split(",")) if positive is not None else None
        with report("reading films") as on_progress:
            adopted = adopt_room(folder, by, classes, on_progress)
        save_manifest(adopted.manifest, out)
    for fate, count in adopted.counts.most_common():
        say(f"{count:,} {'film' if count == 1 else 'films'}: {fate}")
    answer(f"{out}: {adopted.manifest.table.height:,} films")
