"""`hilum data export`: class folders per split, for tools that know nothing else."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.data.store import GeometryMode, Keep, parse_geometry
from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report


def export(
    manifest: Annotated[Path, typer.Argument(help="The manifest to write out.", metavar="MANIFEST")],
    folder: Annotated[Path, typer.Argument(help="An empty or new folder.", metavar="DIR")],
    size: Annotated[
        str | None, typer.Option(help="Write PNGs of this size (224, or 256x300) instead of copies.", metavar="SIZE")
    ] = None,
    geometry: GeometryMode = "squash",
    keep: Keep = 1.0,
) -> None:
    """Write DIR/split/label/film for each film that has a label: copies, or PNGs of one size."""
    from hilum.dataset.export import ExportError, export_folders
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest
    from hilum.dataset.store.store import StoreError

    wanted = parse_geometry(size, geometry, keep) if size is not None else None
    with one_line(ManifestError, ExportError, StoreError), report("writing films") as on_progress:
        written, left_out = export_folders(load_manifest(manifest), folder, wanted, on_progress=on_progress)
    say(f"films written to {folder}: {written:,}")
    if left_out:
        say(f"left out, without a label or unreadable: {left_out:,}")
