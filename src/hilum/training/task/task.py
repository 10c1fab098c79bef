"""What a network is trained for: the loss of a batch, and the figures of validation.

The loss is a sum over the network's heads. Each part counts only the films whose truth for it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from hilum.network.network import Network, Outputs
from hilum.training.feed.feed import Batch, Examples
from hilum.training.feed.mosaic import mosaic
from hilum.training.recipe import Recipe
from hilum.training.task.box_figures import box_figures
from hilum.training.task.box_loss import box_losses
from hilum.training.task.objective import class_weights, figures, loss_of, mix, right_of


class Learned(NamedTuple):
    """The mean loss of a batch; for how many films the most probable class was right, of how many that have one."""

    loss: Tensor
    right: int
    called: int


class Task:
    """A Network and what it is trained for."""

    def __init__(self, network: Network, recipe: Recipe, train: Examples, device: torch.device) -> None:
        self.network, self.recipe = network, recipe
        self.weights = class_weights(recipe.loss, train.counts(network.classes), device)

    def learn(self, trained: Callable[[Tensor], Any], films: Tensor, batch: Batch, place: Sequence[int]) -> Learned:
        """The loss of a batch, forwards; `place` in the run (seed, epoch, batch) decides what is random in it."""
        settings, targets, drawn = self.recipe.loss, batch.targets, batch.boxes
        detector, mosaics = self.recipe.detector, 0
        if settings.mixup:
            films, targets = mix(films, targets, settings.mixup, self.network.classes, place)
        if detector is not None and drawn is not None and (mosaics := int(detector.mosaic * len(films))):
            films, drawn = mosaic(films, drawn, mosaics, place)
        outputs: Outputs = trained(films)
        # A mosaic has no class as a whole: it may hold the quarter of an abnormal film that shows nothing.
        logits = outputs.film[mosaics:].float()
        loss = loss_of(logits, targets[mosaics:], settings, self.weights)
        # A mixture of films has no class either.
        called = 0 if settings.mixup else len(logits)
        right = right_of(logits, targets[mosaics:]) if called else 0
        for auxiliary in outputs.auxiliary:
            share = self.network.backbone.auxiliary_weight
            loss = loss + share * loss_of(auxiliary.float(), targets, settings, self.weights)
        if detector is None or outputs.boxes is None or drawn is None or self.network.boxes is None:
            return Learned(loss, right, called)
        boxes = box_losses(outputs.boxes, self.network.boxes.anchors, drawn, detector.box_loss)
        loss = boxes.scores + detector.box_weight * boxes.boxes + detector.image_weight * loss
        return Learned(loss, right, called)

    def figures(self, outputs: Sequence[Outputs], films: Examples) -> dict[str, float]:
        """Of what the network gave for the batches of validation: loss, figures of whole films, and two of boxes."""
        logits = torch.cat([part.film for part in outputs]).double().numpy()
        measured = figures(np.asarray(logits), films.targets, films.either)
        detector, head = self.recipe.detector, self.network.boxes
        if detector is None or head is None:
            return measured
        of_boxes = box_figures([part.boxes for part in outputs if part.boxes is not None], films, head, detector)
        loss = of_boxes.pop("loss") + detector.image_weight * measured["loss"]
        return {**measured, **of_boxes, "loss": loss}
