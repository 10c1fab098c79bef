"""`hilum score`: a submission of the RSNA challenge against what is true."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.table import print_table


def score(
    submission: Annotated[Path, typer.Argument(help="A CSV as `hilum submit` writes it.", metavar="SUBMISSION")],
    manifest: Annotated[Path, typer.Argument(help="The manifest that knows the boxes.", metavar="MANIFEST")],
    split: Annotated[str | None, typer.Option(help="Only films of this split.", metavar="NAME")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the figures as one JSON object.")] = False,
) -> None:
    """Score a submission by the challenge's metric, and by mAP, FROC and AUROC, with 95% intervals over patients.

    Films are known by the stem of their file's name. Every film whose boxes the manifest knows must have a row.
    """
    need("hilum score", "evaluate", "polars", "faster_coco_eval")
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.evaluation.challenge.score import score_submission
    from hilum.evaluation.challenge.submission import SubmissionError
    from hilum.evaluation.report.words import BOX_NAMES

    with one_line(ManifestError, SubmissionError):
        scored = score_submission(submission, manifest, split)
    if as_json:
        print(json.dumps(scored.to_dict()))
    else:
        rows = [(name.replace("_", " "), f"{count:,}", "") for name, count in scored.counts.items()]
        for name, figure in scored.figures.items():
            value = "-" if figure.value is None else f"{figure.value:.3f}"
            rows.append((BOX_NAMES[name], value, figure.interval or figure.why))
        print_table(("figure", "value", "95% interval"), rows)
    for notice in scored.notices:
        say(f"note: {notice}")
