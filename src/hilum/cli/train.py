"""`hilum train`: a recipe becomes a run."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hilum.cli.errors import one_line
from hilum.cli.progress import report, training_bar

if TYPE_CHECKING:
    from hilum.dataset.manifest import Manifest


def train(
    data: Annotated[
        Path | None, typer.Argument(help="A manifest, or a folder of films.", metavar="MANIFEST|FOLDER")
    ] = None,
    recipe: Annotated[str, typer.Option(help="A shipped recipe or a .toml file.")] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe, as training.batch_size=16; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; runs/TIME-RECIPE if left out.", metavar="DIR")
    ] = None,
    resume: Annotated[Path | None, typer.Option(help="Take this run up where it stopped.", metavar="RUN")] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; auto takes a GPU if there is one.")] = "auto",
) -> None:
    """Train a network by a recipe; Ctrl-C stops after the step and says how to go on.

    A plain folder works too: films are imported, audited, split by patient and stored on the way, and what was decided
    is said. The epoch that is kept is chosen by validation alone.
    """
    import torch

    from hilum.dataset.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.dataset.split import SplitError
    from hilum.dataset.store import StoreError
    from hilum.network.backbone import UnknownNetworkError
    from hilum.network.weights import WeightsError
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.curves import draw_curves
    from hilum.training.fit import Interrupted, NotFiniteError, fit
    from hilum.training.prepare import describe, prepare
    from hilum.training.processes import join_processes
    from hilum.training.recipe import RecipeError, load_recipe
    from hilum.training.run import RunError, check_unchanged, create_run, open_run

    expected = (ManifestError, SourceError, SplitError, StoreError, RecipeError, RunError, WeightsError)
    processes = join_processes()
    said = Console(stderr=True, highlight=False, markup=False, soft_wrap=True, quiet=not processes.leads)
    with one_line(*expected, UnknownNetworkError, CheckpointError, NotFiniteError):
        taken_up = open_run(resume) if resume else None
        if taken_up is not None and (settings or out):
            raise typer.BadParameter("--resume goes on with the run's own recipe, in its own directory")
        wanted = taken_up.recipe() if taken_up else load_recipe(recipe, settings or [])
        path = data or (Path(taken_up.facts()["manifest"]) if taken_up else None)
        if path is None:
            raise typer.BadParameter("name a manifest or a folder of films")
        manifest, manifest_path = _manifest(path, said)
        where = torch.device(_device(device))
        with report("decoding films") as on_progress:
            prepared = prepare(manifest, wanted, where, processes, on_progress=on_progress)
        facts = {**prepared.facts, "manifest": str(manifest_path.resolve())}
        for line in describe(prepared, wanted):
            said.print(line)
        if taken_up is not None:
            check_unchanged(taken_up, facts)
            run = taken_up
        else:
            folder = out or Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{Path(recipe).stem}"
            run = create_run(folder, wanted, facts)
        said.print(f"run: {run.folder}")
        try:
            with training_bar(wanted.epochs) as on_step:
                history = fit(
                    run,
                    wanted,
                    prepared.classifier,
                    prepared.train,
                    prepared.val,
                    processes,
                    on_step=on_step,
                    on_epoch=lambda row: said.print(_epoch_line(row)),
                )
        except Interrupted:
            said.print(f"stopped; go on with: hilum train --resume {run.folder}")
            sys.exit(130)
    draw_curves(history, wanted, run.folder / "curves.png")
    best = [row for row in history if row["best"]][-1]
    said.print(f"kept: epoch {best['epoch']:.0f}, by {wanted.selection.metric} on validation: {_epoch_line(best)}")
    said.print(f"curves: {run.folder / 'curves.png'}; best weights: {run.best}")


def _manifest(path: Path, said: Console) -> tuple[Manifest, Path]:
    """The manifest at this path; a folder gets one: imported, audited, unreadable films left out, split by patient."""
    import polars as pl

    from hilum.dataset.audit import audit
    from hilum.dataset.audit_report import LINKED
    from hilum.dataset.importing import import_folder
    from hilum.dataset.manifest import Manifest, load_manifest, save_manifest
    from hilum.dataset.split import split_by_patient
    from hilum.dataset.store import build_store
    from hilum.radiograph.geometry import Geometry

    if not path.is_dir():
        return load_manifest(path), path
    made = path / "manifest.parquet"
    if made.is_file():
        said.print(f"data: {made}, made earlier")
        return load_manifest(made), made
    with report("reading films") as on_progress:
        manifest, notices, kind = import_folder(path, on_progress=on_progress)
    with report("decoding films for the audit") as on_progress:
        store = build_store(
            manifest, Geometry("squash", 224, 224), skip_bad=len(manifest.table), on_progress=on_progress
        )
    findings = audit(manifest, store)[0].findings
    together = [group for finding in findings if finding.kind in LINKED for group in finding.groups]
    readable = Manifest(manifest.table.filter(pl.col("error").is_null()), manifest.folder)
    here = set(readable.table["path"])
    groups = [kept for group in together if (kept := [path for path in group if path in here])]
    manifest, decided = split_by_patient(readable, together=groups)
    save_manifest(manifest, made)
    said.print(f"data: read as {kind}, written to {made}")
    for finding in findings:
        if finding.severity in ("leak", "warning"):
            said.print(f"audit: {finding.sentence} {finding.advice}")
    for notice in (*notices, *decided):
        said.print(f"note: {notice}")
    said.print(f"note: `hilum data audit {made} --html audit.html` shows the films that were found")
    return load_manifest(made), made


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise typer.BadParameter("torch finds no GPU here; leave --device out or give cpu")
    return wanted


def _epoch_line(row: dict[str, float]) -> str:
    return (
        f"epoch {row['epoch']:.0f}: training loss {row['train_loss']:.4f}, validation loss {row['loss']:.4f}, "
        f"accuracy {row['accuracy']:.4f}, AUC {row['auc']:.4f}, {row['images_per_second']:.0f} images/s"
        + (", best so far" if row["best"] else "")
    )
