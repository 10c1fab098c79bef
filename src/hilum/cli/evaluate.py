"""`hilum evaluate`: how good a bundle is on films of known truth, and how sure that is."""

from __future__ import annotations

import json
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.progress import report as report_progress
from hilum.cli.terminal.table import print_table
from hilum.system.files import write_whole

if TYPE_CHECKING:
    from hilum.evaluation.measure import Evaluation

SHOWN = ("auroc", "average_precision", "sensitivity", "specificity", "ppv", "npv", "accuracy", "f1")
SHOWN_OF_BOXES = ("rsna_score", "map_50", "sensitivity_at_1")
SEED = 1


def evaluate(
    model: Annotated[
        Path, typer.Argument(help="The bundle to judge, or default or boxes, which ship.", metavar="MODEL")
    ],
    manifest: Annotated[Path, typer.Argument(help="The films to judge it on.", metavar="MANIFEST")],
    split: Annotated[str, typer.Option(help="The split to judge on; all takes every film.")] = "test",
    out: Annotated[
        Path | None, typer.Option(help="Where the report goes; evaluations/MODEL-SPLIT if left out.", metavar="DIR")
    ] = None,
    by: Annotated[
        list[str] | None,
        typer.Option(help="Figures for each value of this column of the manifest, too; repeatable.", metavar="COLUMN"),
    ] = None,
    operating_point: Annotated[
        str | None, typer.Option(help="Another of the bundle's operating points than its default.", metavar="NAME")
    ] = None,
    markdown: Annotated[bool, typer.Option("--md", help="Write the report as Markdown with pictures as well.")] = False,
    allow_training_films: Annotated[
        bool,
        typer.Option("--allow-training-films", help="Judge even on films it was trained on; the report is stamped."),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of the bootstrap and of the films taken by chance.")] = SEED,
) -> None:
    """Judge a bundle on films of known truth, at a threshold fixed beforehand.

    Writes report.html for people, metrics.json with every figure and interval, and predictions.csv with what it said
    of each film, for `hilum compare`; of a detector boxes.csv as well, with every box that it drew.
    """
    from hilum.bundle.card import BundleError
    from hilum.bundle.predictor import load
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest
    from hilum.dataset.store.store import StoreError
    from hilum.evaluation.boxes_csv import save_boxes
    from hilum.evaluation.judge import judge
    from hilum.evaluation.measure import measure
    from hilum.evaluation.metrics_json import describe
    from hilum.evaluation.predictions import save_predictions
    from hilum.evaluation.report.box_gallery import choose_box_films
    from hilum.evaluation.report.gallery import choose_films
    from hilum.evaluation.report.markdown import write_markdown
    from hilum.evaluation.report.page import write_page
    from hilum.evaluation.report.report import make_report
    from hilum.evaluation.shortcut import metadata_alone
    from hilum.measures.figure import EvaluationError

    with one_line(BundleError, ManifestError, StoreError, EvaluationError):
        predictor, films = load(model), load_manifest(manifest)
        folder = out or Path("evaluations") / f"{model.stem}-{split}"
        with report_progress("judging films") as on_progress:
            judged = judge(
                predictor,
                films,
                manifest.name,
                split=split,
                operating_point=operating_point,
                by=by or (),
                allow_training_films=allow_training_films,
                on_progress=on_progress,
            )
        evaluation = measure(judged, metadata_alone(judged), seed=seed)
        document = make_report(
            evaluation,
            choose_films(judged, predictor, seed),
            choose_box_films(judged, evaluation.boxes, seed) if evaluation.boxes is not None else (),
            _command(model, manifest, split, by or [], operating_point, allow_training_films, seed),
        )
        folder.mkdir(parents=True, exist_ok=True)
        save_predictions(judged.predictions, folder / "predictions.csv")
        if judged.found is not None:
            save_boxes(judged, folder / "boxes.csv")
        write_whole(folder / "metrics.json", json.dumps(describe(evaluation), indent=1) + "\n")
        write_whole(folder / "report.html", write_page(document))
        if markdown:
            write_markdown(document, folder)
    _print(evaluation, [*([document.stamp] if document.stamp else []), *document.cautions])
    typer.echo(f"report: {folder / 'report.html'}", err=True)


def _print(evaluation: Evaluation, cautions: list[str]) -> None:
    from hilum.evaluation.report.words import BOX_NAMES, NAMES, NOTHING, interval, of_what, value

    rows = []
    for name in SHOWN:
        figure = evaluation.all[name]
        rows.append((NAMES[name], value(name, figure), interval(name, figure), of_what(figure) or NOTHING))
    if evaluation.boxes is not None:
        for name in SHOWN_OF_BOXES:
            figure = evaluation.boxes.figures[name]
            rows.append((BOX_NAMES[name], value(name, figure), interval(name, figure), NOTHING))
    print_table(("figure", "value", "95% interval", "films"), rows)
    for text in cautions:
        typer.echo(f"note: {text}", err=True)


def _command(
    model: Path,
    manifest: Path,
    split: str,
    by: list[str],
    operating_point: str | None,
    allow_training_films: bool,
    seed: int,
) -> str:
    """What gives the same figures again. Files go by their names alone: where they lie is nobody's concern."""
    words = ["hilum", "evaluate", model.name, manifest.name, "--split", split, "--seed", str(seed)]
    for column in by:
        words += ["--by", column]
    if operating_point:
        words += ["--operating-point", operating_point]
    if allow_training_films:
        words.append("--allow-training-films")
    return shlex.join(words)
