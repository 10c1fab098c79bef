"""A recipe's optimizer and schedule, as torch's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn import Parameter
from torch.optim import Optimizer
from torch.optim.lr_scheduler import (
    CosineAnnealingLR,
    LambdaLR,
    LinearLR,
    LRScheduler,
    OneCycleLR,
    ReduceLROnPlateau,
    SequentialLR,
    StepLR,
)

from hilum.training.recipe import Phase, Recipe

OPTIMIZERS: dict[str, type[Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}
# These move with every step, the others with every epoch.
BY_STEP = ("cosine", "one_cycle")


def make_optimizer(recipe: Recipe, phase: Phase, groups: Sequence[Sequence[Parameter]]) -> Optimizer:
    """An optimizer over layer groups from stem to head; with a body factor the early ones learn more slowly."""
    wanted = recipe.optimizer
    rate = phase.learning_rate if phase.learning_rate is not None else wanted.learning_rate
    trained = [[parameter for parameter in group if parameter.requires_grad] for group in groups]
    last = len(groups) - 1
    parameters = [
        {"params": group, "lr": rate * wanted.body_factor ** ((last - depth) / max(last, 1))}
        for depth, group in enumerate(trained)
        if group
    ]
    options: dict[str, Any] = {"lr": rate, "weight_decay": wanted.weight_decay}
    if wanted.name in ("sgd", "rmsprop"):
        options["momentum"] = wanted.momentum
    return OPTIMIZERS[wanted.name](parameters, **options)


def make_schedule(recipe: Recipe, phase: Phase, optimizer: Optimizer, steps_an_epoch: int) -> Any:
    """The learning rate's course over a phase."""
    wanted, steps = recipe.schedule, phase.epochs * steps_an_epoch
    match wanted.name:
        case "step":
            return StepLR(optimizer, wanted.step_epochs, wanted.factor)
        case "plateau":
            return ReduceLROnPlateau(optimizer, factor=wanted.factor, patience=wanted.patience)
        case "one_cycle":
            peaks = [group["lr"] for group in optimizer.param_groups]
            return OneCycleLR(optimizer, peaks, total_steps=steps)
        case "cosine":
            return _cosine(optimizer, steps, round(wanted.warmup_epochs * steps_an_epoch))
    return LambdaLR(optimizer, lambda epoch: 1.0)


def _cosine(optimizer: Optimizer, steps: int, warmup: int) -> LRScheduler:
    warmup = min(warmup, steps - 1)
    if warmup < 1:
        return CosineAnnealingLR(optimizer, steps)
    rising = LinearLR(optimizer, 1 / (warmup + 1), total_iters=warmup)
    return SequentialLR(optimizer, [rising, CosineAnnealingLR(optimizer, steps - warmup)], [warmup])
