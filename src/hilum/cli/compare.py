"""`hilum compare`: models side by side on the same films."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.progress import report
from hilum.cli.terminal.table import print_table
from hilum.system.files import write_whole

if TYPE_CHECKING:
    from hilum.dataset.manifest.manifest import Manifest
    from hilum.evaluation.predictions import Predictions


def compare(
    models: Annotated[
        list[Path],
        typer.Argument(
            help="Two or more: predictions.csv files or folders of `hilum evaluate`, or bundles with --manifest. The "
            "others are compared with the first.",
            metavar="A B",
        ),
    ],
    manifest: Annotated[
        Path | None, typer.Option(help="The films that bundles are judged on.", metavar="MANIFEST")
    ] = None,
    split: Annotated[str, typer.Option(help="The split that bundles are judged on.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Write comparison.html and comparison.json there.", metavar="DIR")
    ] = None,
    allow_training_films: Annotated[
        bool, typer.Option("--allow-training-films", help="Judge bundles even on films they were trained on.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap.")] = 1,
) -> None:
    """Set models side by side on the films that all of them judged, and say whether they differ.

    Paired bootstrap over patients and DeLong's test for AUROC, McNemar's test for the decisions.
    """
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest
    from hilum.evaluation.compare import compare as compare_models
    from hilum.evaluation.report.comparison import (
        HEADER,
        describe_comparison,
        difference_in_words,
        make_comparison_report,
        rows_of,
    )
    from hilum.evaluation.report.page import write_page
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, EvaluationError):
        films = load_manifest(manifest) if manifest else None
        given = [_predictions(path, films, manifest, split, allow_training_films) for path in models]
        comparison = compare_models(_with_names(given, models), seed=seed)
        if out is not None:
            out.mkdir(parents=True, exist_ok=True)
            told = json.dumps(describe_comparison(comparison), indent=1)
            write_whole(out / "comparison.json", told + "\n")
            page = write_page(make_comparison_report(comparison))
            write_whole(out / "comparison.html", page)
    print_table(HEADER, rows_of(comparison))
    for difference in comparison.differences:
        typer.echo(difference_in_words(difference))
    for note in comparison.notes:
        typer.echo(f"note: {note}", err=True)
    if out is not None:
        typer.echo(f"report: {out / 'comparison.html'}", err=True)


def _predictions(
    path: Path, films: Manifest | None, manifest: Path | None, split: str, allow_training_films: bool
) -> Predictions:
    from hilum.bundle.predictor import load
    from hilum.evaluation.judge import judge
    from hilum.evaluation.predictions import load_predictions
    from hilum.measures.figure import EvaluationError

    if path.suffix != ".onnx":
        return load_predictions(path)
    if films is None or manifest is None:
        raise EvaluationError(f"{path}: a bundle needs films to be judged on; name them with --manifest")
    with report(f"judging films with {path.name}") as on_progress:
        judged = judge(
            load(path),
            films,
            manifest.name,
            split=split,
            allow_training_films=allow_training_films,
            on_progress=on_progress,
        )
    if judged.seen:
        typer.echo(
            f"note: {path.name} was trained or calibrated on {sum(judged.seen.values()):,} of these films", err=True
        )
    return judged.predictions


def _with_names(given: list[Predictions], paths: list[Path]) -> list[Predictions]:
    """Names that tell the models apart; the whole path where two are called the same."""
    from dataclasses import replace

    names = [each.name for each in given]
    return [
        replace(each, name=str(path)) if names.count(each.name) > 1 else each
        for each, path in zip(given, paths, strict=True)
    ]
