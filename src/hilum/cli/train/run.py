"""One run for `hilum train`: prepared, described, trained, and what came of it said."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from rich.console import Console

from hilum.cli.terminal.progress import report, training_bar

if TYPE_CHECKING:
    import torch

    from hilum.training.processes import Processes
    from hilum.training.recipe import Recipe


@dataclass(frozen=True, slots=True)
class Task:
    """What is to be trained on what, in which directory."""

    folder: Path
    recipe: Recipe
    manifest: Path


def train_run(task: Task, device: torch.device, processes: Processes, said: Console) -> list[dict[str, float]]:
    """The history of the run in this directory, which is begun, or taken up if it is there."""
    from hilum.dataset.manifest.manifest import load_manifest
    from hilum.training.curves import draw_curves
    from hilum.training.estimate import estimate, in_words
    from hilum.training.fit import fit
    from hilum.training.observer import Epoch, Event, Step, figures_in_words
    from hilum.training.prepare import describe, prepare
    from hilum.training.run import Run, check_unchanged, create_run

    folder, recipe = task.folder, task.recipe
    taken_up = processes.told(lambda: (folder / "run.json").is_file())
    with report("decoding films", shown=processes.leads) as on_progress:
        prepared = prepare(load_manifest(task.manifest), recipe, device, processes, on_progress=on_progress)
    facts = {**prepared.facts, "manifest": str(task.manifest.resolve())}
    for line in describe(prepared, recipe):
        said.print(line)
    if taken_up:
        check_unchanged(Run(folder), facts)
    else:
        # Compiling, or starting another feed's workers, would take longer than an estimate is worth.
        if not recipe.training.compile and recipe.training.feed == "store":
            measured = estimate(prepared, recipe, processes)
            at_most = "at most about" if recipe.selection.patience else "about"
            batches = f"{recipe.epochs} epoch{'s' * (recipe.epochs > 1)} of {len(prepared.train):,} batches"
            said.print(
                f"time: {at_most} {in_words(measured.seconds)} for {batches} on {device.type} "
                f"(measured on {measured.films} films)"
            )
        processes.told(lambda: create_run(folder, recipe, facts))
    said.print(f"run: {folder}")
    with training_bar(recipe.epochs, shown=processes.leads) as show, stop_signals() as asked_to_stop:

        def watch(event: Event) -> None:
            if isinstance(event, Step):
                show(event)
            elif isinstance(event, Epoch):
                said.print(str(event))  # rich would spell out the fields of a dataclass

        history = fit(Run(folder), recipe, prepared, processes, observer=watch, asked_to_stop=asked_to_stop)
    if processes.leads:
        draw_curves(history, recipe, folder / "curves.png")
    if kept := [row for row in history if row["best"]]:
        epoch, metric = kept[-1]["epoch"], recipe.selection.metric
        said.print(f"kept: epoch {epoch:.0f}, by {metric} on validation: {figures_in_words(kept[-1])}")
    else:
        said.print(f"kept: no epoch, since {recipe.selection.metric} on validation was never a number")
    said.print(f"curves: {folder / 'curves.png'}, or: tensorboard --logdir {folder}")
    said.print(f"best weights: {Run(folder).best}")
    return history


@contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """SIGTERM and Ctrl-C are noted, so that the step in progress is finished and saved; a second one ends at once."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield lambda: bool(noted)
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
