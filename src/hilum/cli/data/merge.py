"""`hilum data merge`: several data sets become one manifest."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.data.show import print_counts
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say


def merge(
    manifests: Annotated[list[Path], typer.Argument(help="The manifests to put together.", metavar="MANIFEST")],
    out: Annotated[Path, typer.Option("-o", "--out", help="The manifest to write.", metavar="FILE")],
) -> None:
    """Put several data sets into one manifest, their splits as they are; no film is copied.

    Split each data set first. Patients are told apart by source and number, so that 'person1' of two sets are two.
    """
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest, save_manifest
    from hilum.dataset.merge import merge

    if len(manifests) < 2:
        raise typer.BadParameter("name at least two manifests")
    with one_line(ManifestError):
        made, notices = merge([load_manifest(path) for path in manifests])
        save_manifest(made, out)
    print_counts(made)
    for notice in notices:
        say(notice)
    say(f"written to {out}")
