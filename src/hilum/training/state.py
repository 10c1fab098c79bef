"""All that changes while a run goes on: what a step moves, and what a checkpoint holds."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import ReduceLROnPlateau
from torch.optim.swa_utils import AveragedModel

from hilum.network.network import Network
from hilum.training.optimizer import BY_STEP, make_optimizer, make_schedule
from hilum.training.recipe import Recipe

LOWER_IS_BETTER = ("loss",)
# Plain numbers of the state, each stored under its own name.
COUNTS = (
    *("epoch", "batch", "steps", "seen", "total_loss", "right", "called", "seconds", "learning_rate", "best"),
    "misses",
)


class TrainState:
    """The network with its averaged weights, the optimizer of the phase, the place in the run, the best so far."""

    optimizer: Optimizer
    schedule: Any

    def __init__(self, network: Network, recipe: Recipe, device: torch.device, batches: int) -> None:
        settings = recipe.training
        self.network, self.recipe = network, recipe
        # Averaged weights, where there are any, are what is judged and kept.
        self.average = AveragedModel(network, avg_fn=_warm(settings.ema), use_buffers=True) if settings.ema else None
        self.scaler = torch.amp.GradScaler(device.type, enabled=settings.precision == "fp16")
        self.steps_an_epoch = math.ceil(batches / settings.accumulate)
        self.phase: int | None = None
        self.epoch = self.batch = self.steps = 0  # how many are done: epochs of the run, batches of the epoch, steps
        self.seen, self.total_loss, self.seconds, self.learning_rate = 0, 0.0, 0.0, 0.0  # of the epoch so far
        self.right = self.called = 0  # films whose class was right, of those that have one as a whole
        self.best: float | None = None
        self.misses = 0  # epochs since the best one

    @property
    def judged(self) -> nn.Module:
        """What validation judges."""
        return self.network if self.average is None else self.average

    def enter(self, phase: int) -> None:
        """Begin a phase: what learns in it, with an optimizer and a schedule of its own."""
        wanted = self.recipe.phases[phase]
        self.network.set_trainable(wanted.train, moving_statistics=wanted.statistics_move)
        self.optimizer = make_optimizer(self.recipe, wanted, self.network.layer_groups())
        self.schedule = make_schedule(self.recipe, wanted, self.optimizer, self.steps_an_epoch)
        self.phase = phase

    def step(self) -> None:
        """Move the weights by the gradients that have gathered, and everything that goes with the weights."""
        if self.recipe.training.clip:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self.recipe.training.clip)
        self.learning_rate = self.optimizer.param_groups[-1]["lr"]
        self.scaler.step(self.optimizer)
        self.scaler.update()
        self.optimizer.zero_grad(set_to_none=True)
        if self.average is not None:
            self.average.update_parameters(self.network)
        if self.recipe.schedule.name in BY_STEP:
            self.schedule.step()
        self.steps += 1

    def end_epoch(self, measured: Mapping[str, float]) -> bool:
        """Count an epoch with these figures of validation; whether it is the best so far."""
        if isinstance(self.schedule, ReduceLROnPlateau):
            self.schedule.step(measured["loss"])
        elif self.recipe.schedule.name not in BY_STEP:
            self.schedule.step()
        may_be_kept = self.epoch >= self.recipe.selection.after_epoch
        improved = may_be_kept and self._is_better(measured[self.recipe.selection.metric])
        if improved:
            self.best, self.misses = measured[self.recipe.selection.metric], 0
        elif may_be_kept:
            self.misses += 1
        self.epoch, self.batch = self.epoch + 1, 0
        self.seen, self.total_loss, self.seconds = 0, 0.0, 0.0
        self.right = self.called = 0
        return improved

    @property
    def had_enough(self) -> bool:
        """Whether too many epochs have passed without improvement."""
        return 0 < self.recipe.selection.patience <= self.misses

    def state_dict(self) -> dict[str, Any]:
        """Tensors and plain values: what a checkpoint may hold."""
        return {
            "network": self.network.state_dict(),
            "average": None if self.average is None else self.average.state_dict(),
            "scaler": self.scaler.state_dict(),
            "phase": self.phase,
            "optimizer": self.optimizer.state_dict(),
            "schedule": {key: value for key, value in self.schedule.state_dict().items() if not callable(value)},
        } | {name: getattr(self, name) for name in COUNTS}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from what `state_dict` gave, in the phase it was taken in."""
        self.network.load_state_dict(state["network"])
        if self.average is not None:
            self.average.load_state_dict(state["average"])
        self.scaler.load_state_dict(state["scaler"])
        self.enter(state["phase"])
        # A schedule may be the first to move on from here, at the end of an epoch, and torch warns of one that does so
        # before its optimizer. Without gradients this step moves nothing.
        self.optimizer.step()
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        for name in COUNTS:
            setattr(self, name, state[name])

    def _is_better(self, value: float) -> bool:
        if math.isnan(value):
            return False
        lower = self.recipe.selection.metric in LOWER_IS_BETTER
        return self.best is None or (value < self.best if lower else value > self.best)


def _warm(decay: float) -> Callable[[Tensor, Tensor, Tensor | int], Tensor]:
    """Exponential averaging that starts fast: in a short run a plain one would still hold much of the random start."""

    def update(averaged: Tensor, current: Tensor, steps: Tensor | int) -> Tensor:
        if not averaged.is_floating_point():
            return current
        return averaged.lerp(current, 1 - min(decay, (1 + int(steps)) / (10 + int(steps))))

    return update
