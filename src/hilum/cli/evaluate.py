"""`hilum evaluate`: how good a bundle is on films of known truth, and how sure that is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report_stages
from hilum.cli.terminal.table import print_table


def evaluate(
    model: Annotated[Path, typer.Argument(help="The bundle to judge, or default, which ships.", metavar="MODEL")],
    films: Annotated[
        Path,
        typer.Argument(
            help="The films to judge it on: a manifest, or a folder of films named by class.", metavar="MANIFEST|DIR"
        ),
    ],
    split: Annotated[
        str | None,
        typer.Option(
            help="The split to judge on; all takes every film. If left out test, or every film of a folder in which "
            "none is set apart.",
            metavar="NAME",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Where the report goes; evaluations/MODEL-SPLIT if left out.", metavar="DIR"),
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Figures for each value of this column of the manifest, too; repeatable.", metavar="COLUMN"),
    ] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="Another of the bundle's operating points than its default.", metavar="NAME")
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="Write the report as Markdown with pictures as well.")] = False,
    robustness: Annotated[
        Path | None,
        typer.Option(
            help="What `hilum robustness` wrote for this bundle and these films, to be a section of the report.",
            metavar="DIR",
        ),
    ] = None,
    readings: Annotated[
        Path | None,
        typer.Option(
            help="A folder of readings of these films (`hilum label`): its readers are set beside the model.",
            metavar="DIR",
        ),
    ] = None,
    ordered: Annotated[
        str | None,
        typer.Option(
            help="Readers' labels that have an order, from least to most, for weighted kappa.",
            metavar="none,some,...",
        ),
    ] = None,
    allow_training_films: Annotated[
        bool,
        typer.Option("--allow-training-films", help="Judge even on films it was trained on; the report is stamped."),
    ] = False,
    seed: Annotated[
        int, typer.Option(help="Of the bootstrap and of the films taken by chance.", min=0, metavar="N")
    ] = 1,
) -> None:
    """Judge a bundle on films of known truth, at a threshold fixed beforehand.

    Writes report.html for people, metrics.json with every figure and interval, and predictions.csv with what it said
    of each film, for `hilum compare`; of a detector boxes.csv as well, with every box that it drew. journal/ holds what
    journals ask for, to paste: flow of films, precision, failure analysis, the checklists CLAIM and TRIPOD+AI.
    """
    need("hilum evaluate", "evaluate", "polars", "matplotlib")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.dataset.store.store import StoreError
    from hilum.evaluation.evaluate import HEADER
    from hilum.evaluation.evaluate import evaluate as evaluate_bundle
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, SourceError, StoreError, EvaluationError):
        with report_stages() as on_progress:
            report = evaluate_bundle(
                model,
                films,
                split=split,
                out=out,
                by=by or (),
                operating_point=operating_point,
                markdown=markdown,
                robustness=robustness,
                readings=readings,
                ordered=[] if ordered is None else [label.strip() for label in ordered.split(",")],
                allow_training_films=allow_training_films,
                seed=seed,
                on_progress=on_progress,
            )
        if out is None:
            out = Path("evaluations") / report.name
            report.save(out, markdown=markdown)
    print_table(HEADER, report.summary())
    if (readers := report.evaluation.readers) is not None:
        who = ", ".join(
            f"{letter} is {name}" for letter, name in zip(readers.readers.readers, readers.readers.names, strict=True)
        )
        say(f"readers in the report, which does not name them: {who}")
    for caution in report.cautions:
        say(f"note: {caution}")
    say(f"report: {out / 'report.html'}")
