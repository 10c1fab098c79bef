"""`hilum export`: a run becomes a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report_stages

if TYPE_CHECKING:
    from hilum.export.export import Compression, ExportOptions
    from hilum.training.run import Run


def export(
    run: Annotated[Path, typer.Argument(help="The directory that `hilum train` wrote.", metavar="RUN")],
    out: Annotated[
        Path | None, typer.Option("-o", "--out", help="The bundle; RUN/model.onnx if left out.", metavar="FILE")
    ] = None,
    int8: Annotated[
        bool, typer.Option("--int8", help="Compute convolutions in 8-bit integers: a quarter of the size.")
    ] = False,
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="Of a detector: the share of films with boxes where it will be used; that of validation if left out.",
            metavar="SHARE",
        ),
    ] = None,
    turn_away: Annotated[
        Path | None,
        typer.Option(
            help="Pictures for the gate to turn away, a manifest or a folder; those whose view is lateral (LL, RL, "
            "LATERAL) as lateral films.",
            metavar="DATA",
        ),
    ] = None,
    two_lungs: Annotated[
        bool,
        typer.Option(
            "--two-lungs", help="Of a network that finds lungs: the gate turns away films on which it finds no two."
        ),
    ] = False,
    fp16_weights: Annotated[
        bool, typer.Option("--fp16-weights", help="Keep weights in 16 bits: half the size, computed as before.")
    ] = False,
) -> None:
    """Write the best network of a run as one file that predicts the same everywhere.

    It holds the network with all that goes before and after it, calibrated on validation films, with operating points,
    heatmaps, a gate for pictures that are no chest films, and a card: `hilum show FILE`.
    """
    need("hilum export", "train", "torch", "onnxscript")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.dataset.store.store import StoreError
    from hilum.evaluation.data_set import open_data_set
    from hilum.export.export import ExportOptions
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.recipe import RecipeError
    from hilum.training.run import RunError, open_run

    if int8 and fp16_weights:
        raise typer.BadParameter("--int8 and --fp16-weights are two ways to make the file smaller; choose one")
    compression: Compression = "int8" if int8 else "fp16-weights" if fp16_weights else "none"
    with one_line(BundleError, RunError, RecipeError, ManifestError, SourceError, StoreError, CheckpointError):
        away = None if turn_away is None else open_data_set(turn_away).manifest
        write_bundle(open_run(run), out or run / "model.onnx", ExportOptions(compression, prevalence, away, two_lungs))


def write_bundle(run: Run, target: Path, options: ExportOptions) -> None:
    """Export with progress, and say what came of it."""
    from hilum.export.export import export_run
    from hilum.export.in_words import bundle_in_words

    with report_stages() as on_progress:
        card = export_run(run, target, options, on_progress=on_progress)
    for line in bundle_in_words(card, target, run):
        say(line)
