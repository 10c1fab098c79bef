"""`hilum calibrate`: a bundle is made to fit films of one's own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.progress import report_stages
from hilum.cli.terminal.table import print_table


def calibrate(
    model: Annotated[
        Path | None, typer.Argument(help="The bundle, or default, which ships.", metavar="MODEL", show_default=False)
    ] = None,
    films: Annotated[
        Path | None,
        typer.Argument(
            help="Films of one's own: a manifest, a folder of films named by class, or what `hilum evaluate` wrote of "
            "them for this bundle.",
            metavar="MANIFEST|DIR",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The new bundle; MODEL-local.onnx if left out.", metavar="FILE"),
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="The split to fit to; all takes every film. If left out val, or every film where none is set apart.",
            metavar="NAME",
        ),
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            help="What a threshold shall hold on average over new films, as sensitivity=0.95 (also if left out) or "
            "specificity=0.95; repeatable. The first becomes the default point.",
            metavar="FIGURE=SHARE",
        ),
    ] = None,
    unlabeled: Annotated[
        bool,
        typer.Option("--unlabelled", help="Films without labels: the gate and the baseline of drift alone."),
    ] = False,
    keep_digests: Annotated[
        bool,
        typer.Option(
            "--keep-digests", help="Keep short digests of the films, so that nobody judges the bundle on them."
        ),
    ] = False,
    seed: Annotated[int, typer.Option(help="Of folds and bootstrap.", min=0, metavar="N")] = 1,
    plan: Annotated[
        bool, typer.Option("--plan", help="Say how many films to label, before anyone does; needs no bundle.")
    ] = False,
    prevalence: Annotated[
        float | None, typer.Option(help="With --plan: the share of films with pneumonia.", metavar="SHARE")
    ] = None,
    sensitivity: Annotated[
        float | None, typer.Option(help="With --plan: the sensitivity that is expected.", metavar="SHARE")
    ] = None,
    specificity: Annotated[
        float | None, typer.Option(help="With --plan: the specificity that is expected.", metavar="SHARE")
    ] = None,
    width: Annotated[
        float | None, typer.Option(help="With --plan: how wide its 95% interval may be.", metavar="SHARE")
    ] = None,
) -> None:
    """Fit calibration, thresholds and the gate of a bundle to films of one's own; its weights stay.

    Says what that changes, by cross-validation over patients, and writes a report beside the bundle. Refused where the
    films are too few to set a threshold by.
    """
    from hilum.bundle.card import BundleError
    from hilum.measures.figure import EvaluationError

    if plan:
        from hilum.measures.plan import HEADER as PLANNED
        from hilum.measures.plan import Plan, in_words

        with one_line(EvaluationError):
            made = Plan.of(prevalence, sensitivity, specificity, width)
            print_table(PLANNED, in_words(made))
        return
    if given := [
        name
        for name, value in (
            ("--prevalence", prevalence),
            ("--sensitivity", sensitivity),
            ("--specificity", specificity),
            ("--width", width),
        )
        if value is not None
    ]:
        raise typer.BadParameter(f"{given[0]} goes with --plan; a threshold is set with --target")
    if model is None or films is None:
        raise typer.BadParameter("name a bundle and films of one's own, or ask with --plan how many films to label")
    need("hilum calibrate", "evaluate", "polars", "matplotlib", "sklearn")
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.export.local.calibrate import calibrate as calibrate_bundle
    from hilum.export.local.report import HEADER

    targets = dict(map(_target, target or ()))
    out = out or Path(f"{model.stem}-local.onnx")
    with one_line(BundleError, ManifestError, SourceError, EvaluationError), report_stages() as on_progress:
        made_local = calibrate_bundle(
            model,
            films,
            out,
            split=split,
            targets=targets,
            labeled=not unlabeled,
            keep_digests=keep_digests,
            seed=seed,
            on_progress=on_progress,
        )
    if not unlabeled:
        print_table(HEADER, made_local.summary())
    for line in made_local.sentences():
        say(line)
    answer(f"bundle: {out}")
    say(f"report: {out.with_suffix('.html')}")


def _target(text: str) -> tuple[str, float]:
    figure, _, share = text.partition("=")
    try:
        return figure, float(share)
    except ValueError:
        raise typer.BadParameter(f"--target {text}: give a figure and its share, as sensitivity=0.95") from None
