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
    from hilum.export.export import Compression
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
    from hilum.dataset.store.store import StoreError
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.recipe import RecipeError
    from hilum.training.run import RunError, open_run

    if int8 and fp16_weights:
        raise typer.BadParameter("--int8 and --fp16-weights are two ways to make the file smaller; choose one")
    compression: Compression = "int8" if int8 else "fp16-weights" if fp16_weights else "none"
    with one_line(BundleError, RunError, RecipeError, ManifestError, StoreError, CheckpointError):
        write_bundle(open_run(run), out or run / "model.onnx", compression, prevalence)


def write_bundle(run: Run, target: Path, compression: Compression = "none", prevalence: float | None = None) -> None:
    """Export with progress, and say what came of it."""
    from hilum.export.export import export_run
    from hilum.export.in_words import bundle_in_words

    with report_stages() as on_progress:
        card = export_run(run, target, compression, prevalence=prevalence, on_progress=on_progress)
    for line in bundle_in_words(card, target, run):
        say(line)
