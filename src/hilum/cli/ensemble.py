"""`hilum ensemble`: several bundles become one, whose answers are averaged."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report_stages

if TYPE_CHECKING:
    from hilum.bundle.card import Card


def ensemble(
    bundles: Annotated[
        list[Path],
        typer.Argument(
            help="Bundles (.onnx), directories of runs, or the one folder of `hilum train --folds`.", metavar="BUNDLE"
        ),
    ],
    out: Annotated[Path, typer.Option("-o", "--out", help="The bundle to write.", metavar="FILE")],
    val: Annotated[
        Path | None,
        typer.Option(
            help="Films of known truth whose split val, or all where nothing is set apart, calibrates the mean. "
            "May be left out for runs of one manifest, and for folds.",
            metavar="MANIFEST|DIR",
        ),
    ] = None,
) -> None:
    """Make one bundle of several: probabilities averaged where they are calibrated, boxes fused, gates put to the vote.

    It is one file that predicts, explains and serves like any other. Bundles must have the same classes and groups of
    patients, and see films placed in the same way; smaller films are made from the largest inside the graph. The films
    that calibrate it must not have taught any of them.
    """
    need("hilum ensemble", "evaluate", "polars", "onnx")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.export.ensemble.ensemble import ensemble as make
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, SourceError, EvaluationError), report_stages() as on_progress:
        made = make(bundles, out, val=val, on_progress=on_progress)
    for line in _in_words(made.card, out):
        say(line)
    made.close()
    say(f"next: hilum evaluate {shlex.quote(str(out))} YOUR-MANIFEST, or: hilum predict {shlex.quote(str(out))} FILMS")


def _in_words(card: Card, out: Path) -> list[str]:
    lines = [f"{out}: {card.title}, {out.stat().st_size / 1e6:.1f} MB; hilum show {shlex.quote(str(out))}"]
    films = "out of fold" if "out_of_fold" in card.figures else "on validation"
    points = {f"{group.name}, at": card.point(patient=group.name) for group in card.groups} or {"at": card.point()}
    for where, point in points.items():
        figures = f"sensitivity {point.sensitivity:.3f}, specificity {point.specificity:.3f} {films}"
        lines.append(f"{where} {point.name}: {figures}")
    if card.boxes is not None:
        lines.append(f"boxes from a score of {card.boxes.threshold:.2f} on")
    return lines + [f"note: {note}" for note in card.notes]
