"""The training loop: read it from top to bottom.

One process or several (torchrun); a kill at any step costs what came after the last checkpoint, and going on from there
gives the weights that an uninterrupted run has, bit for bit on the same machine.
"""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel
from torch.utils._pytree import tree_map

from hilum.network.classifier import Classifier
from hilum.network.detector import Detector
from hilum.training.checkpoint import load_latest, save_checkpoint, write_state
from hilum.training.events import event_log
from hilum.training.feed.feed import Feed
from hilum.training.optimizer import BY_STEP, make_optimizer, make_schedule
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe
from hilum.training.run import Run
from hilum.training.task.classification import Classification
from hilum.training.task.detection import Detection

CHECKPOINT_SECONDS = 120.0
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
LOWER_IS_BETTER = ("loss",)


class NotFiniteError(RuntimeError):
    """The loss became NaN or infinite; says on which films."""


class Interrupted(Exception):
    """Someone asked the run to stop; its state is saved."""


@dataclass(frozen=True, slots=True)
class Progress:
    """What is told while a run goes on."""

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    images_per_second: float


def fit(
    run: Run,
    recipe: Recipe,
    task: Classification | Detection,
    train: Feed,
    val: Feed,
    processes: Processes,
    *,
    on_step: Callable[[Progress], None] = lambda progress: None,
    on_epoch: Callable[[dict[str, float]], None] = lambda row: None,
) -> list[dict[str, float]]:
    """Train by the recipe, or go on from the run's last checkpoint; the history, one row an epoch."""
    device = train.device
    settings = recipe.training
    layout = torch.channels_last if settings.channels_last else torch.contiguous_format
    network = task.network
    network.to(device).to(memory_format=layout)
    average = AveragedModel(network, avg_fn=_warm_average(settings.ema), use_buffers=True) if settings.ema else None
    judged: nn.Module = average if average is not None else network
    precision = PRECISIONS.get(settings.precision)
    scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
    steps_an_epoch = math.ceil(len(train) / settings.accumulate)

    saved = load_latest(run.checkpoints, device)
    history = run.read_history()[: saved["epoch"]] if saved else []
    first_epoch, first_step, step = (saved["epoch"], saved["batch"], saved["step"]) if saved else (0, 0, 0)
    best = saved["best"] if saved else None
    misses = saved["misses"] if saved else 0
    if saved:
        network.load_state_dict(saved["network"])
        scaler.load_state_dict(saved["scaler"])
        if average is not None:
            average.load_state_dict(saved["average"])
    if _had_enough(misses, recipe):
        return history

    epoch = 0
    events = event_log(run.folder, first_epoch) if processes.leads else nullcontext(lambda row: None)
    with processes.losses_noticed(), events as write_events, _stop_signals() as asked_to_stop:
        for number, phase in enumerate(recipe.phases):
            start, end = epoch, epoch + phase.epochs
            epoch = end
            if end <= first_epoch:
                continue
            network.set_body_trainable(phase.train == "all", moving_statistics=phase.body_statistics == "moving")
            optimizer = make_optimizer(recipe, phase, network.layer_groups())
            schedule = make_schedule(recipe, phase, optimizer, steps_an_epoch)
            if saved and saved["phase"] == number:
                optimizer.load_state_dict(saved["optimizer"])
                schedule.load_state_dict(saved["schedule"])
            trained = processes.wrap(network)
            if settings.compile:
                trained.compile()

            for current in range(max(start, first_epoch), end):
                began, seen, total_loss, rate = time.monotonic(), 0, 0.0, 0.0
                network.train()
                resumed = first_step if current == first_epoch else 0
                if saved and resumed:
                    seen, total_loss = saved["seen"], saved["total_loss"]
                    began -= saved["seconds"]  # of this epoch before it was stopped
                optimizer.zero_grad(set_to_none=True)
                checkpointed = time.monotonic()
                for batch_number, batch in enumerate(train.batches(current, resumed), start=resumed):
                    # Dropout and mixup follow from the place in the run, so that it can be taken up anywhere.
                    torch.manual_seed(_seed_of(settings.seed, current, batch_number, processes.rank))
                    films = batch.films.contiguous(memory_format=layout)
                    with torch.autocast(device.type, precision, enabled=precision is not None):
                        loss = task.loss(trained, films, batch, (settings.seed, current, batch_number))
                    # A last batch smaller than the number of processes leaves some of them a film that does not count.
                    counted = len(batch.examples)
                    value, count = processes.mean(loss.detach(), counted)
                    if not math.isfinite(value):
                        names = ", ".join(train.examples.paths[example] for example in batch.examples[:8])
                        raise NotFiniteError(
                            f"the loss became {value} in epoch {current + 1}, batch {batch_number + 1}, on {names}; "
                            "lower optimizer.learning_rate or set training.clip; the last checkpoint is kept"
                        )
                    share_of_all = counted * processes.count / count  # DDP's average becomes the mean over all films
                    scaler.scale(loss * share_of_all / settings.accumulate).backward()  # type: ignore[no-untyped-call]
                    last_batch = batch_number + 1 == len(train)
                    if (batch_number + 1) % settings.accumulate == 0 or last_batch:
                        if settings.clip:
                            scaler.unscale_(optimizer)
                            nn.utils.clip_grad_norm_(network.parameters(), settings.clip)
                        rate = optimizer.param_groups[-1]["lr"]
                        scaler.step(optimizer)
                        scaler.update()
                        optimizer.zero_grad(set_to_none=True)
                        if average is not None:
                            average.update_parameters(network)
                        if recipe.schedule.name in BY_STEP:
                            schedule.step()
                        step += 1
                    seen, total_loss = seen + count, total_loss + value * count
                    speed = seen / (time.monotonic() - began + 1e-9)
                    on_step(
                        Progress(current + 1, recipe.epochs, batch_number + 1, len(train), total_loss / seen, speed)
                    )
                    stop = processes.agree(bool(asked_to_stop))
                    due = time.monotonic() - checkpointed > CHECKPOINT_SECONDS
                    at_step_end = (batch_number + 1) % settings.accumulate == 0
                    if processes.leads and at_step_end and not last_batch and (stop or due):
                        state = _state(network, average, optimizer, schedule, scaler, history, best, misses)
                        place = {"phase": number, "epoch": current, "batch": batch_number + 1, "step": step}
                        sums = {"seen": seen, "total_loss": total_loss, "seconds": time.monotonic() - began}
                        save_checkpoint(run.checkpoints, step, state | place | sums)
                        checkpointed = time.monotonic()
                    if stop and at_step_end and not last_batch:
                        raise Interrupted

                seconds = time.monotonic() - began
                measured = processes.told(lambda: judge(task, judged, val, layout, precision))
                row = {
                    "epoch": current + 1,
                    "phase": number + 1,
                    "learning_rate": rate,
                    "train_loss": total_loss / seen,
                    **measured,
                    "images_per_second": seen / seconds,
                    "seconds": seconds,
                }
                if isinstance(schedule, ReduceLROnPlateau):
                    schedule.step(measured["loss"])
                elif recipe.schedule.name not in BY_STEP:
                    schedule.step()
                improved = current >= recipe.selection.after_epoch and _is_better(measured, best, recipe)
                if improved:
                    best, misses = measured[recipe.selection.metric], 0
                elif current >= recipe.selection.after_epoch:
                    misses += 1
                row["best"] = float(improved)
                history.append(row)
                if processes.leads:
                    if improved:
                        network_state = average.module.state_dict() if average is not None else network.state_dict()
                        write_state(run.best, {"network": network_state, "epoch": current + 1, "figures": measured})
                    run.write_history(history)
                    state = _state(network, average, optimizer, schedule, scaler, history, best, misses)
                    place = {"phase": number, "epoch": current + 1, "batch": 0, "step": step}
                    nothing = {"seen": 0, "total_loss": 0.0, "seconds": 0.0}
                    save_checkpoint(run.checkpoints, step, state | place | nothing)
                    write_events(row)
                on_epoch(row)
                if _had_enough(misses, recipe):
                    return history
                if processes.agree(bool(asked_to_stop)) and current + 1 < recipe.epochs:
                    raise Interrupted
    return history


@torch.no_grad()
def judge(
    task: Classification | Detection,
    network: nn.Module,
    feed: Feed,
    layout: torch.memory_format,
    precision: torch.dtype | None,
) -> dict[str, float]:
    """The figures of validation, on films as they are."""
    network.eval()
    said: list[Any] = []
    for batch in feed.in_order():
        with torch.autocast(feed.device.type, precision, enabled=precision is not None):
            outputs = network(batch.films.contiguous(memory_format=layout))
        said.append(tree_map(lambda output: output.float().cpu(), outputs))
    return task.figures(said, feed.examples)


def _state(
    network: Classifier | Detector,
    average: AveragedModel | None,
    optimizer: torch.optim.Optimizer,
    schedule: Any,
    scaler: torch.amp.GradScaler,
    history: list[dict[str, float]],
    best: float | None,
    misses: int,
) -> dict[str, Any]:
    return {
        "network": network.state_dict(),
        "average": average.state_dict() if average is not None else None,
        "optimizer": optimizer.state_dict(),
        "schedule": {key: value for key, value in schedule.state_dict().items() if not callable(value)},
        "scaler": scaler.state_dict(),
        "best": best,
        "misses": misses,
    }


def _warm_average(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential averaging that starts fast: in a short run a plain one would still hold much of the random start."""

    def update(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():
            return current
        return averaged.lerp(current, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))

    return update


def _is_better(measured: dict[str, float], best: float | None, recipe: Recipe) -> bool:
    value = measured[recipe.selection.metric]
    if math.isnan(value):
        return False
    return best is None or (value < best if recipe.selection.metric in LOWER_IS_BETTER else value > best)


def _had_enough(misses: int, recipe: Recipe) -> bool:
    return 0 < recipe.selection.patience <= misses


def _seed_of(*place: int) -> int:
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] % 2**63)


@contextmanager
def _stop_signals() -> Iterator[list[int]]:
    """SIGTERM and Ctrl-C are noted, so that the step in progress is finished and saved; a second one ends at once."""
    noted: list[int] = []

    def note(number: int, frame: FrameType | None) -> None:
        if noted:
            raise KeyboardInterrupt
        noted.append(number)

    before = {number: signal.signal(number, note) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        yield noted
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
