"""`hilum data audit`: what is wrong with a data set, before anyone trains on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import bar
from hilum.cli.terminal.table import print_table
from hilum.system.files import write_whole

if TYPE_CHECKING:
    from hilum.dataset.audit import AuditedFilms, AuditReport

COLUMNS = ("severity", "finding", "what was found", "what to do")
SIZE = 224  # the usual size of training, which then finds its films decoded


def audit(
    manifest: Annotated[Path, typer.Argument(help="The manifest to audit.", metavar="MANIFEST")],
    as_json: Annotated[bool, typer.Option("--json", help="Print the whole report as one JSON object.")] = False,
    html: Annotated[
        Path | None,
        typer.Option(help="Write a page with pictures of the films that were found.", metavar="FILE"),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write the report as JSON, for `hilum data drop`.", metavar="FILE"),
    ] = None,
) -> None:
    """Find what would spoil training or flatter its figures: leaks, copies, shortcuts, bad boxes, bad films.

    Decodes every film once, to the store that training at 224 x 224 uses as well. The exit code is 1 if anything would
    leak from one side of the split to the other.
    """
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.store.store import StoreError

    with one_line(ManifestError, StoreError):
        for target in (html, out):
            if target is not None and not target.parent.is_dir():
                raise ManifestError(f"{target.parent}: there is no such folder")
        report, films = _audited(manifest)
        if out is not None:
            write_whole(out, json.dumps(report.describe(), indent=1) + "\n")
        if html is not None:
            from hilum.dataset.audit.page import write_audit_page

            write_whole(html, write_audit_page(report, films))
    if as_json:
        print(json.dumps(report.describe()))
    else:
        print_table(COLUMNS, [(f.severity, f.kind, f.sentence, f.advice) for f in report.findings])
    for what, target in (("report", out), ("page", html)):
        if target is not None:
            say(f"{what} written to {target}")
    if not report.findings:
        say(f"{report.films:,} films, and nothing was found")
    if report.leaks:
        say("something would leak; figures measured on this split would flatter")
        raise typer.Exit(1)


def _audited(path: Path) -> tuple[AuditReport, AuditedFilms]:
    from hilum.dataset.audit import audit as audit_films
    from hilum.dataset.manifest.manifest import load_manifest
    from hilum.dataset.store.store import build_store
    from hilum.radiograph.geometry import Geometry

    manifest = load_manifest(path)
    with bar() as progress:
        task = progress.add_task("decoding films", total=None)

        def show(step: str, done: int, total: int) -> None:
            progress.update(task, description=step, completed=done, total=total)

        store = build_store(
            manifest,
            Geometry("squash", SIZE, SIZE),
            skip_bad=manifest.table.height,
            on_progress=lambda done, total: show("decoding films", done, total),
        )
        return audit_films(manifest, store, show)
