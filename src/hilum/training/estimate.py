"""How long a run will take, measured on its own films before it starts.

It is measured on a copy of the network, and torch's random numbers are put back: the run is the same as without.
"""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch

from hilum.training.feed.feed import Batch
from hilum.training.fit import PRECISIONS, layout_of
from hilum.training.optimizer import make_optimizer
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes
from hilum.training.recipe import Phase, Recipe

# A network that is slow here is measured on fewer films than a batch has, so that measuring takes seconds.
ENOUGH_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Estimate:
    """Seconds of the whole run, and the number of films of the batch that was measured."""

    seconds: float
    films: int


@dataclass(frozen=True, slots=True)
class _Speed:
    """Seconds: to learn from a film, to judge one, for a step of the optimizer."""

    learn: float
    judge: float
    step: float
    films: int


def estimate(prepared: Prepared, recipe: Recipe, processes: Processes) -> Estimate:
    """Measure one batch on a copy of the network, for each way a phase trains it."""
    train, on_gpu = prepared.train, prepared.train.device.type == "cuda"
    feed, batch = _time_to_feed(prepared)
    speeds: dict[str, _Speed] = {}
    seconds = 0.0
    for phase in recipe.phases:
        if phase.train not in speeds:
            with torch.random.fork_rng(devices=[train.device] if on_gpu else []):
                speeds[phase.train] = _measure(prepared, recipe, phase, batch)
        speed = speeds[phase.train]
        # The next batch is made while one is learned from; without a GPU by the same cores.
        learned = max(feed, speed.learn) if on_gpu else feed + speed.learn
        shown = len(train) * recipe.training.batch_size / processes.count
        steps = len(train) / recipe.training.accumulate
        seconds += phase.epochs * (shown * learned + steps * speed.step + len(prepared.val.examples) * speed.judge)
    return Estimate(seconds, min(speed.films for speed in speeds.values()))


def _measure(prepared: Prepared, recipe: Recipe, phase: Phase, batch: Batch) -> _Speed:
    device = batch.films.device
    precision = PRECISIONS.get(recipe.training.precision)
    layout = layout_of(prepared.task.network, recipe, device)
    films = batch.films.contiguous(memory_format=layout)
    network = copy.deepcopy(prepared.task.network).to(device).to(memory_format=layout)
    network.set_trainable(phase.train, moving_statistics=phase.statistics_move)
    optimizer = make_optimizer(recipe, phase, network.layer_groups())

    def learn(count: int) -> None:
        with torch.autocast(device.type, precision, enabled=precision is not None):
            learned = prepared.task.learn(network.training_outputs, films[:count], batch.first(count), (0, 0, 0))
        learned.loss.backward()  # type: ignore[no-untyped-call]

    def judge(count: int) -> None:
        with torch.no_grad(), torch.autocast(device.type, precision, enabled=precision is not None):
            part = batch.first(count)
            network(part.films) if part.seen is None else network(part.films, part.seen)

    network.train()
    learned, count = _time_for_a_film(learn, len(films), device)
    optimizer.step()  # makes its state
    stepped = _timed(optimizer.step, device)
    network.eval()
    judged, _ = _time_for_a_film(judge, len(films), device)
    return _Speed(learned, judged, stepped, count)


def in_words(seconds: float) -> str:
    """A time as a person says it: 50 seconds, 12 minutes, 3.5 hours."""
    for size, unit in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= 1.5 * size:
            number = seconds / size
            return f"{number:.1f} {unit}s" if number < 10 and unit != "minute" else f"{number:.0f} {unit}s"
    return f"{max(seconds, 1):.0f} second{'s' if seconds >= 1.5 else ''}"


def _time_to_feed(prepared: Prepared) -> tuple[float, Batch]:
    """Seconds to make one film, from the second batch if there are two, since with the first a feed may start up."""
    batches = prepared.train.batches(0)
    first = next(batches)
    start = time.perf_counter()
    second = next(batches, first)
    seconds = time.perf_counter() - start
    return seconds / len(second.films), first


def _time_for_a_film(work: Callable[[int], None], films: int, device: torch.device) -> tuple[float, int]:
    """Seconds, and the number of films it was measured on: doubled from two, as far as time allows."""
    count = min(2, films)
    seconds = _timed(
        partial(work, count), device
    )  # the first time takes longer, and counts only where it took too long
    while seconds < ENOUGH_SECONDS:
        seconds = _timed(partial(work, count), device)
        if seconds < ENOUGH_SECONDS / 10:
            seconds = min(seconds, _timed(partial(work, count), device))
        if count == films or 3 * seconds > ENOUGH_SECONDS:
            break
        count = min(2 * count, films)
    return seconds / count, count


def _timed(work: Callable[[], object], device: torch.device) -> float:
    _wait(device)
    start = time.perf_counter()
    work()
    _wait(device)
    return time.perf_counter() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
