"""`hilum compare`: models side by side on the same films."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.progress import report_stages
from hilum.cli.terminal.table import print_table


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more: predictions.csv files or folders of `hilum evaluate`, or bundles with --manifest. The "
            "others are compared with the first.",
            metavar="MODEL",
        ),
    ],
    manifest: Annotated[
        Path | None,
        typer.Option(help="The films that bundles are judged on, or a folder of them.", metavar="MANIFEST|DIR"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="The split that bundles are judged on. If left out test, or every film of a folder in which none is "
            "set apart.",
            metavar="NAME",
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="Write comparison.html and comparison.json there.", metavar="DIR")
    ] = None,
    allow_training_films: Annotated[
        bool, typer.Option("--allow-training-films", help="Judge bundles even on films they were trained on.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.", min=0, metavar="N")] = 1,
) -> None:
    """Set models side by side on the films that all of them judged, and say whether they differ.

    Paired bootstrap over patients and DeLong's test for AUROC, McNemar's test for the decisions.
    """
    need("hilum compare", "evaluate", "polars", "matplotlib")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.evaluation.comparison.compare import compare as compare_models
    from hilum.evaluation.report.comparison import HEADER
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, SourceError, EvaluationError), report_stages() as on_progress:
        report = compare_models(
            models,
            manifest=manifest,
            split=split,
            out=out,
            allow_training_films=allow_training_films,
            seed=seed,
            on_progress=on_progress,
        )
    for difference in report.differences:
        answer(difference)
    print_table(HEADER, report.summary())
    for test in report.tests:
        answer(test)
    for note in report.notes:
        say(f"note: {note}")
    if out is not None:
        say(f"report: {out / 'comparison.html'}")
