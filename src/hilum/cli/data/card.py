"""`hilum data card`: a datasheet of a manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.system.files import write_whole
from hilum.system.text import printable


def card(
    manifest: Annotated[Path, typer.Argument(help="The manifest to describe.", metavar="MANIFEST")],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write it here, as README.md; printed if left out.", metavar="FILE"),
    ] = None,
) -> None:
    """Write a datasheet of a data set: what whoever gives films on is asked for, as far as the manifest knows.

    Markdown, with the block of metadata that data hubs read. What the manifest does not hold is left to write, with a
    hint.
    """
    from hilum.dataset.datasheet import datasheet
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest

    with one_line(ManifestError):
        loaded = load_manifest(manifest)
        text = datasheet(loaded, manifest.resolve().parent.name or manifest.stem)
        if out is not None:
            write_whole(out, printable(text, keep="\n"))
    if out is None:
        print(printable(text, keep="\n"), end="")
    else:
        say(f"datasheet written to {out}")
