"""A session: runs prepared, described, trained one after the other, and what came of them told to an observer.

It prints nothing and takes no signals, so `hilum train`, a notebook and a worker all use it as it is.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from hilum.dataset.folds import Folds
from hilum.dataset.manifest.manifest import load_manifest
from hilum.dataset.preparing import manifest_at
from hilum.training.curves import draw_curves, draw_sweep
from hilum.training.estimate import estimate, in_words
from hilum.training.fit import Interrupted, fit
from hilum.training.observer import Learning, Notice, Observer, Working, figures_in_words
from hilum.training.prepare import Prepared, describe, prepare
from hilum.training.processes import PeerLostError, Processes
from hilum.training.recipe import Recipe, read_recipe
from hilum.training.run import Run, RunError, check_unchanged, create_run, open_run
from hilum.training.series.folds import FoldPlan, open_folds, plan_folds
from hilum.training.series.sweep import (
    PLOT,
    Combination,
    Result,
    Sweep,
    create_sweep,
    is_sweep,
    open_sweep,
    parse_settings,
    train_sweep,
)
from hilum.training.start import Start, going_on, pass_on
from hilum.training.task.frozen import fit_head

History = list[dict[str, float]]
# Trains a sweep's combinations elsewhere, before the session looks what became of each; those that failed, and why.
Spread = Callable[[Sweep, "Session"], Mapping[str, str]]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be trained on what, in which directory; `bundle` tells whether it is to end in one.

    `start` is what a new run goes on from, if that is another network.
    """

    folder: Path
    recipe: Recipe
    manifest: Path
    bundle: bool = True
    start: Start | None = None


@dataclass(frozen=True, slots=True)
class TrainOptions:
    """A plan as a person names it: the options of `hilum train`."""

    data: Path | None = None
    recipe: str = "default"
    settings: Sequence[str] = ()
    sweep: Sequence[str] = ()
    out: Path | None = None
    resume: Path | None = None
    bundle: bool = True
    start: Start | None = None
    folds: int | None = None


@dataclass(frozen=True, slots=True)
class Session:
    """Where training happens, who watches it, and who may ask it to stop."""

    device: torch.device
    processes: Processes
    observer: Observer
    asked_to_stop: Callable[[], bool]
    spread: Spread | None = None

    def plan(self, wanted: TrainOptions) -> Plan | Sweep | FoldPlan:
        """What is to be trained; a plain folder of films is imported, audited and split on the way."""
        if wanted.folds and (wanted.sweep or not wanted.bundle):
            raise RunError("folds are of one recipe, judged by bundles: leave --sweep and --no-bundle out")
        own = wanted.settings or wanted.sweep or wanted.folds or wanted.out or wanted.start or not wanted.bundle
        if wanted.resume and own:
            raise RunError(f"{wanted.resume}: a run goes on with its own recipe, in its own directory, to its own end")
        if wanted.resume and is_sweep(wanted.resume):
            return open_sweep(wanted.resume)
        if wanted.resume and Folds.begun(wanted.resume):
            return open_folds(wanted.resume)
        if wanted.resume:
            run = open_run(wanted.resume)
            facts = run.facts()
            data = wanted.data or Path(facts["manifest"])
            return Plan(wanted.resume, run.recipe(), self._manifest(data), facts["bundle"])
        if wanted.data is None:
            raise RunError("name a manifest or a folder of films to train on")
        if self.processes.restarts and wanted.out is None:
            raise RunError("torchrun may start this again; name the run's directory with --out, where it is found then")
        recipe, varied = read_recipe(wanted.recipe, wanted.settings), parse_settings(wanted.sweep)
        named = Path("runs") / f"{datetime.now():%Y%m%d-%H%M%S}-{Path(wanted.recipe).stem}"
        if varied and wanted.start:
            raise RunError("a sweep begins each run as its recipe says; leave --from or --sweep out")
        if varied:
            folder = wanted.out or named.with_name(f"{named.name}-sweep")
            return create_sweep(folder, recipe, varied, self._manifest(wanted.data))
        if wanted.folds:
            named = named.with_name(f"{named.name}-folds")
        folder, start = wanted.out or named, wanted.start
        if start is not None:
            recipe, start = going_on(recipe, start, folder)
        sized = recipe.sized()  # names a network that there is not, before films are read
        if wanted.folds:
            folds, notices = plan_folds(folder, sized, self._manifest(wanted.data), wanted.folds, start)
            for notice in notices:
                self.observer(Notice(f"note: {notice}"))
            return folds
        return Plan(folder, sized, self._manifest(wanted.data), wanted.bundle, start)

    def train(self, plan: Plan) -> History:
        """The history of the run in the plan's directory, which is begun, or taken up if it is there."""
        return self._train(plan, plan.folder)

    def train_fold(self, plan: FoldPlan, fold: int) -> History:
        """The history of the run of one fold, which is begun, or taken up if it is there."""
        if self.processes.count > 1:
            raise RunError("folds are trained in one process; leave torchrun out, or train their manifests one by one")
        folds = plan.folds
        pass_on(folds.folder, folds.run(fold))
        return self._train(Plan(folds.run(fold), plan.recipe, folds.manifest(fold)), folds.folder)

    def _train(self, plan: Plan, resumed: Path) -> History:
        """`resumed` is what goes on if this run is stopped: the run, or the sweep it belongs to."""
        run, recipe = Run(plan.folder), plan.recipe
        again = f"go on with: {self.processes.command} train --resume {shlex.quote(str(resumed))}"
        after = "torchrun goes on with those that are left" if self.processes.starts_again else again
        try:
            taken_up = self.processes.once(run.exists)
            if plan.start is not None and not taken_up:
                self.processes.once(partial(plan.start.save, plan.folder))
            prepared = prepare(
                load_manifest(plan.manifest),
                recipe,
                self.device,
                self.processes,
                on_progress=lambda done, total: self.observer(Working("decoding films", done, total)),
            )
            facts = {**prepared.facts, "manifest": str(plan.manifest.resolve()), "bundle": plan.bundle}
            for line in describe(prepared, recipe):
                self.observer(Notice(line))
            if taken_up:
                if notice := check_unchanged(run, facts):
                    self.observer(Notice(notice))
            else:
                self._tell_time(prepared, recipe)
                self.processes.once(lambda: create_run(plan.folder, recipe, facts))
            self.observer(Learning(plan.folder, recipe.epochs))
            if recipe.frozen is not None:
                history = fit_head(run, prepared, observer=self.observer)
            else:
                with self.processes.watched(f"the last checkpoint is whole, {after}"):
                    asked = self.asked_to_stop
                    history = fit(run, prepared, self.processes, observer=self.observer, asked_to_stop=asked)
        except Interrupted:
            self.observer(Notice(f"stopped; {again}"))
            raise Interrupted(f"stopped; {again}") from None
        except PeerLostError as lost:
            raise PeerLostError(f"{lost}; the last checkpoint is whole, {after}") from None
        if self.processes.leads:
            draw_curves(history, recipe, run.curves)
        self._tell_end(run, recipe, history)
        return history

    def train_sweep(self, sweep: Sweep) -> list[Result]:
        """What became of every combination; one that fails leaves the others."""
        if self.processes.count > 1:
            raise RunError("a sweep runs in one process; leave torchrun out, or train its combinations one by one")
        count = len(sweep.combinations())
        self.observer(Notice(f"sweep: {count} combinations in {sweep.folder}"))
        results: list[Result] = []
        failed = {} if self.spread is None else self.spread(sweep, self)

        def train(combination: Combination) -> History:
            if combination.name in failed:
                raise RunError(failed[combination.name])
            self.observer(Notice(f"combination {len(results) + 1} of {count}: {combination.name}"))
            plan = Plan(combination.run.folder, combination.recipe, sweep.manifest, bundle=False)
            return self._train(plan, sweep.folder)

        for result in train_sweep(sweep, train):
            results.append(result)
            if result.reason:
                self.observer(Notice(f"failed: {result.combination.name}: {result.reason}"))
        draw_sweep(results, sweep.recipe, sweep.folder / PLOT)
        return results

    def _manifest(self, path: Path) -> Path:
        return manifest_at(
            path,
            lambda text: self.observer(Notice(text)),
            lambda doing, done, total: self.observer(Working(doing, done, total)),
        )

    def _tell_time(self, prepared: Prepared, recipe: Recipe) -> None:
        # Compiling, or starting another feed's workers, would take longer than an estimate is worth.
        if recipe.training.compile or recipe.training.feed != "store" or recipe.frozen is not None:
            return
        measured = estimate(prepared, recipe, self.processes)
        at_most = "at most about" if recipe.selection.patience else "about"
        batches = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)} of {len(prepared.train):,} batches"
        self.observer(
            Notice(
                f"time: {at_most} {in_words(measured.seconds)} for {batches} on {self.device.type} "
                f"(measured on {measured.films} films)"
            )
        )

    def _tell_end(self, run: Run, recipe: Recipe, history: History) -> None:
        metric = recipe.selection.metric
        if kept := kept_epoch(history):
            figures = figures_in_words(kept)
            self.observer(Notice(f"kept: epoch {kept['epoch']:.0f}, by {metric} on validation: {figures}"))
        else:
            self.observer(Notice(f"kept: no epoch, since {metric} on validation was never a number"))
        self.observer(Notice(f"curves: {run.curves}, or: tensorboard --logdir {run.folder}"))
        self.observer(Notice(f"best weights: {run.best}"))


def kept_epoch(history: Sequence[Mapping[str, float]]) -> Mapping[str, float] | None:
    """The row of the epoch whose weights are kept."""
    return next((row for row in reversed(history) if row["best"]), None)


def as_settings(values: Mapping[str, Any] | Sequence[str]) -> list[str]:
    """Settings as the command line has them, `section.key=value`, from a mapping of keys to plain values."""
    if not isinstance(values, Mapping):
        return list(values)
    return [f"{key}={_written(value)}" for key, value in values.items()]


def as_sweep(values: Mapping[str, Sequence[Any]] | Sequence[str]) -> list[str]:
    """The same for a sweep: a mapping of keys to the values they take."""
    if not isinstance(values, Mapping):
        return list(values)
    return [f"{key}={','.join(map(_written, each))}" for key, each in values.items()]


def _written(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)  # JSON's numbers and lists are TOML's as well


def device_named(name: str) -> torch.device:
    """`auto` takes a GPU if there is one."""
    try:
        device = torch.device("cpu" if name == "auto" else name)
    except RuntimeError:
        raise RunError(f"device {name}: there is no such device; name cpu, cuda, cuda:1 or auto") from None
    if name == "auto" and torch.cuda.is_available():
        return torch.device("cuda")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise RunError(f"device {name}: torch finds no GPU here; leave it out or give cpu")
    return device
