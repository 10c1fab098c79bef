"""`hilum sweep`: which suppression, size and score threshold serve the boxes of several runs best."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import report_stages
from hilum.cli.terminal.table import print_table


def sweep(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Directories that `hilum train` wrote, of detectors; folds or seeds.", metavar="RUN"),
    ],
    prevalence: Annotated[
        float | None,
        typer.Option(
            help="The share of films with boxes where they will be used; that of validation if left out.",
            metavar="SHARE",
        ),
    ] = None,
    out: Annotated[
        Path, typer.Option("-o", "--out", help="Where box-sweep.csv and box-sweep.png go.", metavar="DIR")
    ] = Path(),
) -> None:
    """Score every combination of NMS overlap, box size and score threshold by the RSNA challenge's rule.

    Each run is judged on its own validation films alone. The setting that is best on the mean of all runs is the one
    for their average; each run's own is chosen when it is exported.
    """
    need("hilum sweep", "train", "torch")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.store.store import StoreError
    from hilum.export.box_sweep import PICTURE, TABLE, sweep_runs
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.recipe import RecipeError
    from hilum.training.run import RunError

    with one_line(BundleError, RunError, RecipeError, ManifestError, StoreError, CheckpointError):
        with report_stages() as on_progress:
            swept = sweep_runs(runs, prevalence, on_progress)
        swept.save(out)
    rows = [(name, *(f"{value:g}" for value in best.setting), f"{best.score:.4f}") for name, best in swept.best()]
    print_table(("run", "NMS overlap", "sides times", "score from", "RSNA score on validation"), rows)
    say(f"every setting: {out / TABLE}, {out / PICTURE}")
