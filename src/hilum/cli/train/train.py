"""`hilum train`: a recipe becomes a run that ends in a bundle, or a sweep of runs, or folds."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path
from textwrap import shorten
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.table import print_table
from hilum.cli.train.watching import Watcher
from hilum.recipes import shipped_recipes

if TYPE_CHECKING:
    from hilum.export.ensemble.folds import TrainedFolds
    from hilum.export.train import Trained, TrainedSweep


def train(
    data: Annotated[
        Path | None, typer.Argument(help="A manifest, or a folder of films.", metavar="MANIFEST|DIR")
    ] = None,
    recipe: Annotated[
        str | None,
        typer.Option(
            help=f"A .toml file, or a recipe that ships: {', '.join(shipped_recipes())}; default if left out, with "
            "--from fine-tune.",
            metavar="RECIPE",
        ),
    ] = None,
    start: Annotated[
        str | None,
        typer.Option("--from", help="Go on from this bundle, from default, or from a run.", metavar="MODEL"),
    ] = None,
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
    folds: Annotated[
        int | None,
        typer.Option(
            help="Train so many networks, each on all films but its part of the patients, and judge it on these.",
            min=2,
            max=100,
            metavar="N",
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="The run's directory; runs/TIME-RECIPE if left out.", metavar="DIR"),
    ] = None,
    resume: Annotated[
        Path | None,
        typer.Option(help="Take this run, or this folder of a sweep or of folds, up where it stopped.", metavar="RUN"),
    ] = None,
    device: Annotated[
        str, typer.Option(help="cpu, cuda, cuda:1; auto takes a GPU if there is one.", metavar="DEVICE")
    ] = "auto",
    ray: Annotated[
        str | None,
        typer.Option(
            help="Train a sweep over the cluster of Ray at HOST:PORT, or local: one started here.", metavar="ADDRESS"
        ),
    ] = None,
    insecure: Annotated[
        bool, typer.Option("--insecure", help="With --ray: a cluster will do that lets in whoever can reach it.")
    ] = False,
    no_bundle: Annotated[
        bool, typer.Option("--no-bundle", help="Train even where no bundle can come of it, and make none.")
    ] = False,
) -> None:
    """Train a network by a recipe; Ctrl-C stops after the step and says how to go on.

    A plain folder works too: films are imported, audited, split by patient and stored on the way, and what was decided
    is said. The epoch that is kept is chosen by validation alone; the run ends in a bundle of it, RUN/model.onnx. What
    cannot end in one, as with too few films for validation, is refused before it starts.

    With --from the network is that of a trained model, and so are its input and its classes, unless the recipe names
    others; the recipe tells how it learns on. `--from default` is the model in the box: with a few hundred films of
    one's own it fits a hospital better than what ImageNet begins with.

    A sweep trains the combinations one after the other, with --ray as many at once as a cluster has room for, each as a
    run of its own, and ends in one table and one plot.
    Folds end in one table, too, with intervals over patients, and in what each film's network, which never saw it, says
    of it (out-of-fold.csv); hilum ensemble makes one bundle of them.
    On several GPUs: torchrun --nproc-per-node N -m hilum train ...
    """
    need("hilum train", "train", "torch", "timm", "onnxscript")
    from hilum.bundle.card import BundleError
    from hilum.dataset.manifest.manifest import ManifestError
    from hilum.dataset.sources import SourceError
    from hilum.dataset.split import SplitError
    from hilum.dataset.store.store import StoreError
    from hilum.export.ensemble.folds import TrainedFolds
    from hilum.export.train import Trained
    from hilum.export.train import train as train_films
    from hilum.network.backbone import UnknownNetworkError
    from hilum.network.weights import WeightsError
    from hilum.scale.errors import ScaleError
    from hilum.training.checkpoint import CheckpointError
    from hilum.training.fit import Interrupted, NotFiniteError
    from hilum.training.processes import PeerLostError, ReportedElsewhereError
    from hilum.training.recipe import RecipeError
    from hilum.training.run import RunError

    spread = None
    if ray is not None:
        if not sweep and resume is None:
            raise typer.BadParameter("a cluster trains a sweep; add --sweep", param_hint="--ray")
        from hilum.scale.sweep import train_on_cluster

        spread = partial(train_on_cluster, address=ray, insecure=insecure)
    films = (ManifestError, SourceError, SplitError, StoreError, RecipeError, RunError, BundleError, ScaleError)
    with one_line(*films, WeightsError, UnknownNetworkError, CheckpointError, NotFiniteError, PeerLostError):
        try:
            with Watcher() as watcher:
                made = train_films(
                    data,
                    recipe=recipe,
                    settings=settings or [],
                    sweep=sweep or [],
                    folds=folds,
                    out=out,
                    resume=resume,
                    start=start,
                    device=device,
                    bundle=not no_bundle,
                    observer=watcher,
                    stop=watcher.asked_to_stop,
                    spread=spread,
                )
        except Interrupted:  # what to do next was told by the watcher
            sys.exit(130)
        except ReportedElsewhereError:
            raise typer.Exit(1) from None
    if isinstance(made, Trained):
        _end_of_run(made)
    elif isinstance(made, TrainedFolds):
        _end_of_folds(made)
    else:
        _end_of_sweep(made)


def _end_of_run(trained: Trained) -> None:
    if trained.bundle is None:
        if trained.reason:
            say(trained.reason)
            raise typer.Exit(1)
        return
    bundle, films = shlex.quote(str(trained.bundle)), shlex.quote(str(trained.manifest))
    say(f"next: hilum evaluate {bundle} {films}, or: hilum predict {bundle} YOUR-FILMS")


def _end_of_sweep(trained: TrainedSweep) -> None:
    """Exit code 1 if a combination failed; the others are trained all the same."""
    from hilum.training.series.sweep import PLOT, TABLE

    rows = trained.rows()
    say("")
    print_table(list(rows[0]), [list({**row, "reason": shorten(row["reason"], 60)}.values()) for row in rows])
    if (best := trained.best) is not None and best.kept is not None:
        metric = trained.sweep.recipe.selection.metric
        say(f"best, by {metric} on validation: {best.combination.name}: {best.kept[metric]:.4f}")
        say(f"its run: {best.combination.run.folder}")
    folder = trained.folder
    say(f"table: {folder / TABLE}; plot: {folder / PLOT}; or: tensorboard --logdir {folder}")
    if any(result.reason for result in trained.results):
        raise typer.Exit(1)


def _end_of_folds(trained: TrainedFolds) -> None:
    """Exit code 1 if a fold failed; the others are trained and judged all the same."""
    from hilum.dataset.folds import PREDICTIONS
    from hilum.export.ensemble.folds import HEADER

    say("")
    print_table(list(HEADER), [[*row[:-1], shorten(row[-1], 60)] for row in trained.table()])
    folder = shlex.quote(str(trained.folder))
    if trained.films is not None:
        say("each film judged by the one network that never saw it, at its threshold; 95% intervals over patients")
        say(f"predictions out of fold: {trained.folder / PREDICTIONS}")
    if any(result.reason for result in trained.results):
        raise typer.Exit(1)
    say(f"next: hilum ensemble {folder} -o model.onnx")
