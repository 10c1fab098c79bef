"""From films to a bundle: what `hilum train` and `hilum.train` do."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

from hilum.bundle.card import BundleError
from hilum.bundle.prediction import RESEARCH_USE
from hilum.dataset.manifest.manifest import load_manifest
from hilum.export.ensemble.folds import TrainedFolds, train_folds
from hilum.export.export import export_run
from hilum.export.graph.trial import check_writable
from hilum.export.in_words import bundle_in_words
from hilum.export.requirements import INSTEAD, check_requirements
from hilum.export.start import open_start, with_finder
from hilum.system.notebook import html_table
from hilum.training.observer import Notice, Observer, Working, unobserved
from hilum.training.processes import join_processes
from hilum.training.run import Run, RunError
from hilum.training.series.folds import FoldPlan
from hilum.training.series.sweep import PLOT, Result, Sweep, best_of, cells, columns
from hilum.training.session import Plan, Session, Spread, TrainOptions, as_settings, as_sweep, device_named, kept_epoch

Named = str | os.PathLike[str]
Settings = Mapping[str, object] | Sequence[str]
Sweeping = Mapping[str, Sequence[object]] | Sequence[str]
# The figures of an epoch that a notebook shows, and what they are called.
SHOWN = {"train_loss": "training loss", "loss": "validation loss", "accuracy": "accuracy", "auc": "AUC"}


@dataclass(frozen=True, slots=True)
class Trained:
    """A run that is over: its directory, its course, and the bundle it ended in; `reason` tells why there is none.

    >>> small = {"network.name": "small_cnn1", "network.weights": "none", "network.dropout": 0, "training.ema": 0}
    >>> small |= {"input.height": 16, "input.width": 16, "phases.0.epochs": 2}
    >>> trained = hilum.train("films/manifest.parquet", settings=small, out="two-epochs", bundle=False)
    >>> [row["epoch"] for row in trained.rows()]
    [1, 2]
    """

    folder: Path
    manifest: Path
    history: Sequence[Mapping[str, float]]
    bundle: Path | None
    reason: str = ""

    @property
    def kept(self) -> Mapping[str, float] | None:
        """The figures of the epoch whose weights are kept."""
        return kept_epoch(self.history)

    def rows(self) -> list[dict[str, float]]:
        """One row an epoch, for a data frame: `pandas.DataFrame(trained.rows())`."""
        return [dict(row) for row in self.history]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        bundle = None if self.bundle is None else str(self.bundle)
        kept = None if self.kept is None else dict(self.kept)
        return {"run": str(self.folder), "bundle": bundle, "reason": self.reason, "kept": kept, "epochs": self.rows()}

    def _repr_png_(self) -> bytes:
        return Run(self.folder).curves.read_bytes()

    def _repr_html_(self) -> str:
        """The kept epoch and the last one, where they differ, and the curves."""
        shown = {row["epoch"]: row for row in (self.kept, self.history[-1]) if row is not None}
        rows = [[f"{epoch:.0f}", *(f"{row[name]:.4f}" for name in SHOWN)] for epoch, row in shown.items()]
        end = f"bundle: {self.bundle}" if self.bundle else self.reason or "no bundle"
        table = html_table(f"run: {self.folder}", ("epoch", *SHOWN.values()), rows, [end, RESEARCH_USE])
        return table + _picture(self._repr_png_(), "curves")


@dataclass(frozen=True, slots=True)
class TrainedSweep:
    """A sweep that is over: what became of each combination.

    >>> small = {"network.name": "small_cnn1", "network.weights": "none", "network.dropout": 0, "training.ema": 0}
    >>> small |= {"input.height": 16, "input.width": 16, "phases.0.epochs": 1}
    >>> sweep = {"training.batch_size": [16, 32]}
    >>> swept = hilum.train("films/manifest.parquet", settings=small, sweep=sweep, out="sweep", bundle=False)
    >>> [row["training.batch_size"] for row in swept.rows()]
    ['16', '32']
    """

    sweep: Sweep
    results: Sequence[Result]

    @property
    def folder(self) -> Path:
        """Where the sweep's table, plot and runs lie."""
        return self.sweep.folder

    @property
    def best(self) -> Result | None:
        """By the recipe's metric on validation."""
        return best_of(self.results, self.sweep.recipe)

    def rows(self) -> list[dict[str, str]]:
        """One row a combination, for a data frame."""
        return [dict(zip(columns(self.sweep), cells(result), strict=True)) for result in self.results]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        best = None if self.best is None else str(self.best.combination.run.folder)
        return {"sweep": str(self.folder), "best": best, "combinations": self.rows()}

    def _repr_png_(self) -> bytes:
        return (self.folder / PLOT).read_bytes()

    def _repr_html_(self) -> str:
        header = columns(self.sweep)
        return html_table(f"sweep: {self.folder}", header, map(cells, self.results), [RESEARCH_USE]) + _picture(
            self._repr_png_(), "sweep"
        )


@overload
def train(
    data: Named | None = None,
    *,
    recipe: Named | None = None,
    settings: Settings = (),
    sweep: None = None,
    folds: None = None,
    out: Named | None = None,
    resume: Named | None = None,
    start: Named | None = None,
    device: str = "auto",
    bundle: bool = True,
    observer: Observer = unobserved,
    stop: Callable[[], bool] = lambda: False,
) -> Trained: ...


@overload
def train(
    data: Named | None = None,
    *,
    recipe: Named | None = None,
    settings: Settings = (),
    sweep: Sweeping,
    folds: None = None,
    out: Named | None = None,
    resume: Named | None = None,
    start: Named | None = None,
    device: str = "auto",
    bundle: bool = True,
    observer: Observer = unobserved,
    stop: Callable[[], bool] = lambda: False,
    spread: Spread | None = None,
) -> Trained | TrainedSweep: ...


@overload
def train(
    data: Named | None = None,
    *,
    recipe: Named | None = None,
    settings: Settings = (),
    sweep: Sweeping | None = None,
    folds: int | None,
    out: Named | None = None,
    resume: Named | None = None,
    start: Named | None = None,
    device: str = "auto",
    bundle: bool = True,
    observer: Observer = unobserved,
    stop: Callable[[], bool] = lambda: False,
    spread: Spread | None = None,
) -> Trained | TrainedSweep | TrainedFolds: ...


def train(
    data: Named | None = None,
    *,
    recipe: Named | None = None,
    settings: Settings = (),
    sweep: Sweeping | None = None,
    folds: int | None = None,
    out: Named | None = None,
    resume: Named | None = None,
    start: Named | None = None,
    device: str = "auto",
    bundle: bool = True,
    observer: Observer = unobserved,
    stop: Callable[[], bool] = lambda: False,
    spread: Spread | None = None,
) -> Trained | TrainedSweep | TrainedFolds:
    """Train a network by a recipe on a manifest or a folder of films; the run ends in a bundle of its best epoch.

    `settings` change the recipe, as {"training.batch_size": 16}; a `sweep` trains every combination of some, as
    {"optimizer.name": ["adam", "sgd"]}; `folds` trains as many networks, each on all films but its part of the
    patients, which it then judges. `resume` takes a run, a sweep or folds up where they stopped; `start` is a bundle or
    a run whose network learns on, by the recipe `fine-tune` if none is named. Nothing is printed: an `observer` is
    called with what happens (`hilum.training.observer.lines` prints it as the command does), and once `stop` says yes
    the step in progress is saved and Interrupted raised. `spread` trains a sweep's combinations somewhere else first,
    as `hilum train --ray` does. Works in a thread, a notebook or a worker.

    >>> small = {"network.name": "small_cnn1", "network.weights": "none", "network.dropout": 0, "training.ema": 0}
    >>> small |= {"input.height": 16, "input.width": 16, "training.batch_size": 8, "phases.0.epochs": 1}
    >>> hilum.train("films/manifest.parquet", settings=small, out="run").bundle
    PosixPath('run/model.onnx')
    """
    where = device_named(device)
    processes = join_processes(where)
    session = Session(where, processes, observer if processes.leads else unobserved, stop, spread)
    followed = str(recipe) if recipe is not None else "default" if start is None else "fine-tune"
    wanted = TrainOptions(
        None if data is None else Path(data),
        followed,
        as_settings(settings) if resume is not None else with_finder(followed, as_settings(settings)),
        as_sweep(sweep or ()),
        None if out is None else Path(out),
        None if resume is None else Path(resume),
        bundle,
        None if start is None else open_start(start),
        folds,
    )
    plan = processes.once(lambda: _plan(session, wanted))
    made: Trained | TrainedSweep | TrainedFolds
    match plan:
        case Sweep():
            made = _train_sweep(session, plan)
        case FoldPlan():
            made = train_folds(session, plan)
        case Plan():
            made = _train_run(session, plan)
    processes.leave()
    return made


def _plan(session: Session, wanted: TrainOptions) -> Plan | Sweep | FoldPlan:
    """What is to be trained; refused if it cannot end in the bundle that is wanted of it."""
    plan = session.plan(wanted)
    if isinstance(plan, Plan) and plan.recipe.frozen is not None and session.processes.count > 1:
        raise RunError("the head of a frozen body is fitted in one process; leave torchrun out")
    if isinstance(plan, FoldPlan):
        for manifest in plan.manifests:
            card = None if plan.start is None else plan.start.card
            check_requirements(manifest, plan.recipe, card, instead="or take fewer folds")
        _refuse_seen(plan)
        _check_written(session, plan)
        plan.begin()
        return plan
    if isinstance(plan, Plan) and not plan.bundle:
        return plan
    try:
        start = plan.start.card if isinstance(plan, Plan) and plan.start is not None else None
        check_requirements(load_manifest(plan.manifest), plan.recipe, start)
        _check_written(session, plan)
    except BundleError as error:
        if isinstance(plan, Plan):
            raise
        session.observer(Notice(f"note: {error}"))  # a sweep makes no bundle, but its best run may be exported
    return plan


def _check_written(session: Session, plan: Plan | Sweep | FoldPlan) -> None:
    """The network of a bundle could be written before."""
    if isinstance(plan, Sweep) or plan.start is None or plan.start.card is None:
        session.observer(Working("trying whether the network can be written as a bundle", 0, 1))
        try:
            check_writable(plan.recipe.sized())
        except BundleError as error:
            raise BundleError(f"this run cannot end in a bundle: {error}, {INSTEAD}") from None


def _refuse_seen(plan: FoldPlan) -> None:
    """Where the network that folds go on from has seen their films, no fold would be judged by one that never did."""
    if plan.start is None:
        return
    films = plan.manifests[0].table.select("file_digest", "pixel_digest").iter_rows()
    if seen := sum(any(map(plan.start.knows, digests)) for digests in films):
        raise BundleError(
            f"{plan.start.name}: has learned from {seen:,} of these films, or was chosen by them, so folds would be "
            "judged on films that their networks saw; go on from another, or leave --folds or --from out"
        )


def _train_run(session: Session, plan: Plan) -> Trained:
    history = session.train(plan)
    if not (plan.bundle and session.processes.leads):
        return Trained(plan.folder, plan.manifest, history, None)
    bundle = plan.folder / "model.onnx"
    try:
        card = export_run(
            Run(plan.folder),
            bundle,
            on_progress=lambda doing, done, total: session.observer(Working(doing, done, total)),
        )
    except BundleError as error:  # such as a network that has learned nothing; the run is whole all the same
        return Trained(plan.folder, plan.manifest, history, None, f"no bundle: {error}")
    for line in bundle_in_words(card, bundle, Run(plan.folder)):
        session.observer(Notice(line))
    return Trained(plan.folder, plan.manifest, history, bundle)


def _train_sweep(session: Session, sweep: Sweep) -> TrainedSweep:
    return TrainedSweep(sweep, session.train_sweep(sweep))


def _picture(png: bytes, title: str) -> str:
    return f'<img alt="{title}" style="max-width: 100%" src="data:image/png;base64,{base64.b64encode(png).decode()}">'
