"""The training loop: read it from top to bottom.

One process or several (torchrun); a kill at any step costs what came after the last checkpoint, and going on from there
gives the weights that an uninterrupted run has, bit for bit on the same machine. It touches neither signals nor the
terminal, so it runs in a thread, a notebook or a worker as it does under `hilum train`.
"""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from hilum.training.checkpoint import check_version, load_latest, save_checkpoint, write_state
from hilum.training.events import event_log
from hilum.training.feed.feed import Batch, Feed
from hilum.training.observer import Epoch, Observer, Step, unobserved
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes, compile_step
from hilum.training.recipe import Recipe
from hilum.training.run import Run
from hilum.training.state import COUNTS, TrainState
from hilum.training.task.task import Task

CHECKPOINT_SECONDS = 120.0
PRECISIONS = {"bf16": torch.bfloat16, "fp16": torch.float16}
ONEDNN_BLOCK = 16  # channels that it works on at once


class NotFiniteError(RuntimeError):
    """The loss became NaN or infinite; says on which films."""


class Interrupted(Exception):
    """Someone asked the run to stop; its state is saved."""


def fit(
    run: Run,
    prepared: Prepared,
    processes: Processes,
    *,
    observer: Observer = unobserved,
    asked_to_stop: Callable[[], bool] = lambda: False,
) -> list[dict[str, float]]:
    """Train by the recipe, or go on from the run's last checkpoint; the history, one row an epoch.

    `asked_to_stop` is asked after every batch; once it says yes the step is finished, saved, and Interrupted raised.
    """
    task, train, val = prepared.task, prepared.train, prepared.val
    recipe, settings = task.recipe, task.recipe.training
    device, precision = train.device, PRECISIONS.get(settings.precision)
    network = task.network
    layout = layout_of(network, recipe, device)
    network.to(device).to(memory_format=layout)
    state = TrainState(network, recipe, device, len(train))
    if saved := load_latest(run.checkpoints, device):
        check_version(saved, network, run.folder, needed=COUNTS)
        state.load_state_dict(saved)
    history = run.read_history()[: state.epoch]
    if state.had_enough:
        return history

    phase_ends = list(itertools.accumulate(phase.epochs for phase in recipe.phases))
    checkpointed = time.monotonic()
    events = event_log(run.folder, state.epoch) if processes.leads else nullcontext(lambda row: None)
    with processes.losses_noticed(), events as write_events:
        while state.epoch < recipe.epochs:
            phase = next(number for number, end in enumerate(phase_ends) if state.epoch < end)
            if phase != state.phase:
                state.enter(phase)
            trained = processes.wrap(network)
            if settings.compile:
                compile_step(trained, network)

            while state.epoch < phase_ends[phase]:
                began = time.monotonic() - state.seconds  # those of this epoch before the run was stopped
                network.train()
                for batch in train.batches(state.epoch, state.batch):
                    # Dropout and mixup follow from the place in the run, so that it can be taken up anywhere.
                    place = (settings.seed, state.epoch, state.batch)
                    torch.manual_seed(_seed_of(*place, processes.rank))
                    films = batch.films.contiguous(memory_format=layout)
                    with torch.autocast(device.type, precision, enabled=precision is not None):
                        learned = task.learn(trained, films, batch, place)
                    # A last batch smaller than the number of processes leaves some of them a film that does not count.
                    counted = len(batch.examples)
                    value, count = processes.mean(learned.loss.detach(), counted)
                    if not math.isfinite(value):
                        raise _not_finite(value, state, batch, train)
                    # The gradients add up to those of the mean over all films of the step: of all its batches, and of
                    # all processes, over which DDP averages.
                    share_of_step = counted * processes.count / _films_of_step(state.batch, train, settings.accumulate)
                    scaled = state.scaler.scale(learned.loss * share_of_step)
                    scaled.backward()  # type: ignore[no-untyped-call]
                    state.batch += 1
                    state.seen, state.total_loss = state.seen + count, state.total_loss + value * count
                    right, called = processes.total(*((learned.right, learned.called) if counted else (0, 0)))
                    state.right, state.called = state.right + right, state.called + called
                    stepped = state.batch % settings.accumulate == 0 or state.batch == len(train)
                    if stepped:
                        state.step()
                    state.seconds = time.monotonic() - began
                    speed = state.seen / (state.seconds + 1e-9)
                    mean = state.total_loss / state.seen
                    observer(Step(state.epoch + 1, recipe.epochs, state.batch, len(train), mean, speed))
                    # Between the batches of a step there are gradients, which no checkpoint holds.
                    stop = processes.agree(asked_to_stop()) and stepped
                    due = time.monotonic() - checkpointed > CHECKPOINT_SECONDS and stepped
                    if processes.leads and (stop or due):
                        save_checkpoint(run.checkpoints, state.steps, state.state_dict())
                        checkpointed = time.monotonic()
                    if stop:
                        raise Interrupted

                measured = processes.once(lambda: judge(task, state.judged, val, layout, precision))
                row = {
                    "epoch": state.epoch + 1,
                    "phase": phase + 1,
                    "learning_rate": state.learning_rate,
                    "train_loss": state.total_loss / state.seen,
                    **({"train_accuracy": state.right / state.called} if state.called else {}),
                    **measured,
                    "images_per_second": state.seen / state.seconds,
                    "seconds": state.seconds,
                }
                improved = state.end_epoch(measured)
                row["best"] = float(improved)
                history.append(row)
                if processes.leads:
                    # In this order: a kill between two of them costs this epoch, which then comes out the same again.
                    if improved:
                        write_state(run.best, _best(state, measured))
                    run.write_history(history)
                    save_checkpoint(run.checkpoints, state.steps, state.state_dict())
                    checkpointed = time.monotonic()
                    write_events(row)
                observer(Epoch(row))
                if state.had_enough:
                    return history
                if processes.agree(asked_to_stop()) and state.epoch < recipe.epochs:
                    raise Interrupted
    return history


def layout_of(network: nn.Module, recipe: Recipe, device: torch.device) -> torch.memory_format:
    """How films and weights lie in memory."""
    # oneDNN writes past its memory in the gradients of such layers, as FastViT's first one, where channels lie last:
    # github.com/uxlfoundation/oneDNN/issues/6035
    unsafe = device.type == "cpu" and any(
        module.kernel_size == (1, 1) and module.stride != (1, 1) and module.in_channels < ONEDNN_BLOCK
        for module in network.modules()
        if isinstance(module, nn.Conv2d)
    )
    return torch.channels_last if recipe.training.channels_last and not unsafe else torch.contiguous_format


@torch.no_grad()
def judge(
    task: Task,
    network: nn.Module,
    feed: Feed,
    layout: torch.memory_format,
    precision: torch.dtype | None,
) -> dict[str, float]:
    """The figures of validation, on films as they are."""
    network.eval()
    outputs: list[Any] = []
    masks: list[Tensor] = []
    for batch in feed.in_order():
        with torch.autocast(feed.device.type, precision, enabled=precision is not None):
            films = batch.films.contiguous(memory_format=layout)
            output = network(films) if batch.seen is None else network(films, batch.seen)
        if batch.seen is not None:
            masks.append(batch.seen.masks.cpu())
        outputs.append(tree_map_only(Tensor, lambda tensor: tensor.float().cpu(), output))
    return task.figures(outputs, feed.examples, masks)


def _films_of_step(batch: int, train: Feed, accumulate: int) -> int:
    """How many films the step of this batch learns from; the last of an epoch may have fewer."""
    films = train.batch_size * accumulate
    first = batch // accumulate * films
    return min(films, train.shown - first)


def _best(state: TrainState, measured: dict[str, float]) -> dict[str, Any]:
    network = state.network if state.average is None else state.average.module
    return {"network": network.state_dict(), "epoch": state.epoch, "figures": measured}


def _not_finite(value: float, state: TrainState, batch: Batch, train: Feed) -> NotFiniteError:
    names = ", ".join(train.examples.paths[example] for example in batch.examples[:8])
    return NotFiniteError(
        f"the loss became {value} in epoch {state.epoch + 1}, batch {state.batch + 1}, on {names}; "
        "lower optimizer.learning_rate or set training.clip; the last checkpoint is kept"
    )


def _seed_of(*place: int) -> int:
    return int(np.random.SeedSequence(place).generate_state(1, np.uint64)[0] % 2**63)
