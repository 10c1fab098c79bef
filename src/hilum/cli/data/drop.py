"""`hilum data drop`: films that an audit found are taken out of a manifest, with a record."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say


def drop(
    manifest: Annotated[Path, typer.Argument(help="The manifest to take films out of.", metavar="MANIFEST")],
    report: Annotated[Path, typer.Argument(help="Its audit: `hilum data audit MANIFEST -o FILE`.", metavar="AUDIT")],
    kinds: Annotated[
        list[str],
        typer.Option("--kind", help="A finding whose films go, as exact_duplicates; repeatable.", metavar="KIND"),
    ],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Where to write; MANIFEST itself if left out.", metavar="FILE")
    ] = None,
) -> None:
    """Take the films of audit findings out of a manifest; no file is touched.

    Of exact and near duplicates one film stays: that of the test split, else of validation, else the one with boxes.
    What was taken out, why, and which copy stayed is added to a CSV beside the manifest.
    """
    from hilum.dataset.audit.report import ReportError
    from hilum.dataset.drop import DropError, drop_findings, write_record
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest, save_manifest

    target = out or manifest
    record = target.with_suffix(".dropped.csv")
    with one_line(ManifestError, DropError, ReportError):
        loaded = load_manifest(manifest)
        made, dropped = drop_findings(loaded, report, kinds)
        write_record(loaded, dropped, record)
        save_manifest(made, target)
    say(f"{len(dropped):,} films taken out, {made.table.height:,} stay; the record is {record}")
