"""`hilum train`: a recipe becomes a run, or a sweep of them."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.progress import report
from hilum.cli.train.run import Task, train_run
from hilum.cli.train.sweep import train_combinations

if TYPE_CHECKING:
    from hilum.training.sweep import Sweep


def train(
    data: Annotated[
        Path | None, typer.Argument(help="A manifest, or a folder of films.", metavar="MANIFEST|FOLDER")
    ] = None,
    recipe: Annotated[str, typer.Option(help="A shipped recipe or a .toml file.")] = "default",
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change the recipe, as training.batch_size=16; repeatable.", metavar="KEY=VALUE"),
    ] = None,
    sweep: Annotated[
        list[str] | None,
        typer.Option(
            help="Train every combination of these values, as optimizer.name=adam,sgd; repeatable.", metavar="KEY=A,B,C"
        ),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(help="The run's directory; runs/TIME-RECIPE if left out.", metavar="DIR")
    ] = None,
    resume: Annotated[
        Path | None, typer.Option(help="Take this run or sweep up where it stopped.", metavar="RUN")
    ] = None,
    device: Annotated[str, typer.Option(help="cpu, cuda, cuda:1; auto takes a GPU if there is one.")] = "auto",
) -> None:
    """Train a network by a recipe; Ctrl-C stops after the step and says how to go on.

    A plain folder works too: films are imported, audited, split by patient and stored on the way, and what was decided
    is said. The epoch that is kept is chosen by validation alone; the run ends in a bundle of it, RUN/model.onnx.

    A sweep trains the combinations one after the other, each as a run of its own, and ends in one table and one plot.
    On several GPUs: torchrun --nproc-per-node N -m hilum train ...
    """
    import torch

    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.dataset.split import SplitError
    from hilum.dataset.store.store import StoreError
    from hilum.network.backbone import UnknownNetworkError
    from hilum.network.weights import WeightsError
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.fit import Interrupted, NotFiniteError
    from hilum.training.processes import PeerLostError, ToldElsewhereError, join_processes
    from hilum.training.recipe import RecipeError
    from hilum.training.run import RunError

    expected = (ManifestError, SourceError, SplitError, StoreError, RecipeError, RunError, WeightsError)
    if resume and (settings or sweep or out):
        raise typer.BadParameter("--resume goes on with the run's own recipe, in its own directory")
    where = torch.device(_device(device))
    processes = join_processes(where)
    said = Console(stderr=True, highlight=False, markup=False, soft_wrap=True, quiet=not processes.leads)
    with one_line(*expected, UnknownNetworkError, CheckpointError, NotFiniteError, PeerLostError):
        try:
            task = processes.told(lambda: _task(data, recipe, settings or [], sweep or [], out, resume, said))
            again = f"{processes.command} train --resume {task.folder}"
            try:
                if isinstance(task, Task):
                    train_run(task, where, processes, said)
                    if processes.leads:
                        _export(task, said)
                else:
                    train_combinations(task, where, processes, said)
            except Interrupted:
                said.print(f"stopped; go on with: {again}")
                sys.exit(130)
            except PeerLostError as lost:
                raise PeerLostError(f"{lost}; the last checkpoint is whole, go on with: {again}") from None
        except ToldElsewhereError:
            raise typer.Exit(1) from None
    processes.leave()


def _export(task: Task, said: Console) -> None:
    """The run ends in a bundle; where there can be none, in the reason, and the run is whole all the same."""
    from hilum.bundle.card import BundleError
    from hilum.cli.export import write_bundle
    from hilum.training.run import Run

    bundle = task.folder / "model.onnx"
    try:
        write_bundle(Run(task.folder), bundle)
    except BundleError as error:
        said.print(f"no bundle: {error}")
        return
    said.print(f"next: hilum evaluate {bundle} {task.manifest}, or: hilum predict {bundle} YOUR-FILMS")


def _task(
    data: Path | None,
    recipe: str,
    settings: list[str],
    sweep: list[str],
    out: Path | None,
    resume: Path | None,
    said: Console,
) -> Task | Sweep:
    """What is to be trained, as the command line says it."""
    from hilum.training.recipe import read_recipe
    from hilum.training.run import open_run
    from hilum.training.sweep import create_sweep, is_sweep, open_sweep, parse_settings

    if resume and is_sweep(resume):
        return open_sweep(resume)
    if resume:
        run = open_run(resume)
        return Task(resume, run.recipe(), _manifest(data or Path(run.facts()["manifest"]), said))
    if data is None:
        raise typer.BadParameter("name a manifest or a folder of films")
    wanted = read_recipe(recipe, settings)
    varied = parse_settings(sweep)
    named = f"{datetime.now():%Y%m%d-%H%M%S}-{Path(recipe).stem}"
    if varied:
        return create_sweep(out or Path("runs") / f"{named}-sweep", wanted, varied, _manifest(data, said))
    sized = wanted.sized()  # names a network that there is not, before films are read
    return Task(out or Path("runs") / named, sized, _manifest(data, said))


def _manifest(path: Path, said: Console) -> Path:
    """The manifest at this path; a folder gets one: imported, audited, unreadable films left out, split by patient."""
    import polars as pl

    from hilum.dataset.audit import audit
    from hilum.dataset.audit.report import LINKED
    from hilum.dataset.importing import import_folder
    from hilum.dataset.manifest.manifest import Manifest, save_manifest
    from hilum.dataset.split import split_by_patient
    from hilum.dataset.store.store import build_store
    from hilum.radiograph.geometry import Geometry

    if not path.is_dir():
        return path
    made = path / "manifest.parquet"
    if made.is_file():
        said.print(f"data: {made}, made earlier")
        return made
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
    return made


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    if wanted.startswith("cuda") and not torch.cuda.is_available():
        raise typer.BadParameter("torch finds no GPU here; leave --device out or give cpu")
    return wanted
