"""`hilum sweep`: which suppression, size and score threshold serve the boxes of several runs best."""

from __future__ import annotations

from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.progress import Progress, TaskID

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.progress import bar
from hilum.cli.terminal.table import print_table
from hilum.system.pictures import write_figure

if TYPE_CHECKING:
    from hilum.measures.boxes.sweep import Swept


def sweep(
    runs: Annotated[
        list[Path],
        typer.Argument(help="Directories that `hilum train` wrote, of detectors; folds or seeds.", metavar="RUN..."),
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
    if prevalence is not None and not 0 < prevalence < 1:
        raise typer.BadParameter("--prevalence is a share of films, above 0 and below 1")
    if find_spec("torch") is None:
        say("hilum sweep needs what training needs: pip install 'hilum[train]'")
        raise typer.Exit(1)
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.store.store import StoreError
    from hilum.export.box_settings import calibrate_boxes, look_at, truths_of
    from hilum.export.material import best_network, open_material
    from hilum.measures.boxes.sweep import choose, draw_sweeps, write_sweep
    from hilum.measures.boxes.sweep import sweep as sweep_boxes
    from hilum.network.detector import Detector
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.recipe import RecipeError
    from hilum.training.run import RunError, open_run

    sweeps: dict[str, list[Swept]] = {}
    with one_line(BundleError, RunError, RecipeError, ManifestError, StoreError, CheckpointError), bar() as progress:
        for folder in runs:
            show = partial(_show, progress, progress.add_task(f"{folder.name}: opening the run", total=None), folder)
            run = open_run(folder)
            material = open_material(run, show)
            network, _ = best_network(run, material.recipe)
            if not isinstance(network, Detector):
                raise BundleError(f"{folder}: draws no boxes; name runs of a recipe with [detector]")
            columns = [list(material.recipe.classes).index(name) for name in material.positive]
            raw = look_at(network, material.store.pixels, material.val.rows, show)
            calibrated = calibrate_boxes(raw, truths_of(material.val, network.input_size), columns)
            name = folder.name if folder.name not in sweeps else str(folder)
            sweeps[name] = sweep_boxes(calibrated.truths, calibrated.raw, prevalence=prevalence)
        chosen = choose(sweeps)
        out.mkdir(parents=True, exist_ok=True)
        write_sweep(sweeps, out / "box-sweep.csv")
        write_figure(draw_sweeps(sweeps, chosen), out / "box-sweep.png")
    rows = [("all, the mean", *_told(chosen))] if len(sweeps) > 1 else []
    rows += [(name, *_told(max(tried, key=lambda row: row.score))) for name, tried in sweeps.items()]
    print_table(("run", "NMS overlap", "sides times", "score from", "RSNA score on validation"), rows)
    say(f"every setting: {out / 'box-sweep.csv'}, {out / 'box-sweep.png'}")


def _show(progress: Progress, task: TaskID, folder: Path, doing: str, done: int, total: int) -> None:
    progress.update(task, description=f"{folder.name}: {doing}", completed=done, total=total)


def _told(best: Swept) -> tuple[str, ...]:
    return (*(f"{value:g}" for value in best.setting), f"{best.score:.4f}")
