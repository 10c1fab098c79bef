"""What is particular to classifying in training: the loss of a batch, and the figures of validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hilum.network.classifier import Classifier, TrainingLogits
from hilum.training.feed.feed import Batch, Examples
from hilum.training.recipe import Recipe
from hilum.training.task.objective import class_weights, figures, loss_of, mix


class Classification:
    """A Classifier and what it is trained for."""

    def __init__(self, network: Classifier, recipe: Recipe, train: Examples, device: torch.device) -> None:
        self.network, self.recipe = network, recipe
        self.weights = class_weights(recipe.loss, train.counts(network.classes), device)

    def loss(self, trained: Callable[[Tensor], Any], films: Tensor, batch: Batch, place: Sequence[int]) -> Tensor:
        """The mean loss of a batch; `place` in the run (seed, epoch, batch) decides what is random in it."""
        settings, targets = self.recipe.loss, batch.targets
        if settings.mixup:
            films, targets = mix(films, targets, settings.mixup, self.network.classes, place)
        said: TrainingLogits = trained(films)
        loss = loss_of(said.logits.float(), targets, settings, self.weights)
        for auxiliary in said.auxiliary:
            loss = loss + self.network.backbone.auxiliary_weight * loss_of(
                auxiliary.float(), targets, settings, self.weights
            )
        return loss

    def figures(self, said: Sequence[Tensor], films: Examples) -> dict[str, float]:
        """Of what the network said of the batches of validation."""
        logits = torch.cat(list(said)).double().numpy()
        return figures(np.asarray(logits), films.targets, films.either)
