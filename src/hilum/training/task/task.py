"""What a network is trained for: the loss of a batch, and the figures of validation.

The loss is a sum over the network's heads. Each part counts only the films whose truth for it is known.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hilum.measures.masks import mask_figures
from hilum.network.heads.boxes import Boxes, BoxHead
from hilum.network.network import Network, Outputs, Seen
from hilum.training.feed.examples import Examples
from hilum.training.feed.feed import Batch
from hilum.training.feed.mosaic import mosaic
from hilum.training.recipe import Recipe
from hilum.training.task.box_figures import box_figures
from hilum.training.task.box_loss import box_losses
from hilum.training.task.objective import class_weights, figures, loss_of, mix, right_of
from hilum.training.task.place_loss import mask_loss, opacity_loss
from hilum.training.task.view_figures import view_figures

HALF = 0.5  # how much of a place has to be lung for it to be taken as such


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
        height, width = network.input_size
        self.frame = torch.tensor([width, height] * 2, dtype=torch.float32, device=device)

    def learn(self, trained: Callable[..., Any], films: Tensor, batch: Batch, place: Sequence[int]) -> Learned:
        """The loss of a batch, forwards; `place` in the run (seed, epoch, batch) decides what is random in it."""
        settings, targets, drawn = self.recipe.loss, batch.targets, batch.boxes
        detector, mosaics = self.recipe.detector, 0
        if settings.mixup:
            films, targets = mix(films, targets, settings.mixup, self.network.classes, place)
        if detector is not None and drawn is not None and (mosaics := int(detector.mosaic * len(films))):
            films, drawn = mosaic(films, drawn, mosaics, place)
        seen = None if batch.seen is None else self._looked_at(batch.seen)
        matching = drawn is not None and self.network.boxes is not None and not isinstance(self.network.boxes, BoxHead)
        given = (films, seen, drawn) if matching else (films,) if seen is None else (films, seen)
        outputs: Outputs = trained(*given)
        if seen is not None:
            right = right_of(outputs.film[seen.whole].float(), targets[seen.whole])
            loss = self._loss_of_views(outputs, targets, drawn, seen, batch.adult)
            return Learned(loss, right, int(seen.whole.sum()))
        # A mosaic has no class as a whole: it may hold the quarter of an abnormal film that shows nothing.
        logits = outputs.film[mosaics:].float()
        loss = loss_of(logits, targets[mosaics:], settings, self.weights)
        # A mixture of films has no class either.
        called = 0 if settings.mixup else len(logits)
        right = right_of(logits, targets[mosaics:]) if called else 0
        for auxiliary in outputs.auxiliary:
            share = self.network.backbone.auxiliary_weight
            loss = loss + share * loss_of(auxiliary.float(), targets, settings, self.weights)
        return Learned(loss if drawn is None else self._with_boxes(loss, outputs, drawn), right, called)

    def _with_boxes(self, loss: Tensor, outputs: Outputs, drawn: Boxes) -> Tensor:
        detector, head = self.recipe.detector, self.network.boxes
        if detector is None or outputs.boxes is None or head is None:
            return loss
        if not isinstance(head, BoxHead):  # it has matched its queries with true boxes itself
            assert outputs.boxes.loss is not None
            return detector.box_weight * outputs.boxes.loss + detector.image_weight * loss
        boxes = box_losses(outputs.boxes, head.anchors, drawn, detector.box_loss)
        return boxes.scores + detector.box_weight * boxes.boxes + detector.image_weight * loss

    def _looked_at(self, seen: Seen) -> Seen:
        """The second view learns from all films that show their lungs alone, and from the first of the whole ones."""
        if self.recipe.lungs is None or self.network.lungs is None:
            return seen
        order = seen.whole.cumsum(0)
        return seen._replace(looked=~seen.whole | (order <= self.recipe.lungs.share * seen.whole.sum()))

    def _loss_of_views(
        self, outputs: Outputs, targets: Tensor, drawn: Boxes | None, seen: Seen, adult: Tensor | None
    ) -> Tensor:
        """The parts of a network that looks twice; a film that shows its lungs alone says nothing of the whole ones."""
        lungs, opacity = self.recipe.lungs, self.recipe.opacity
        loss = self._class_loss(outputs.film, targets, seen.whole)
        if drawn is not None:
            loss = self._with_boxes(loss, outputs, drawn._replace(known=drawn.known & seen.whole))
        maps = [(outputs.opacity, seen.whole)]
        if lungs is not None and outputs.masks is not None:
            loss = loss + lungs.mask_weight * mask_loss(outputs.masks, seen.masks, seen.masked & seen.whole)
        if lungs is not None and outputs.lungs is not None:
            loss = loss + lungs.view_weight * self._class_loss(outputs.lungs.film, targets, seen.looked)
            maps.append((outputs.lungs.opacity, seen.looked))
        for logits, chosen in maps:
            if opacity is not None and drawn is not None and logits is not None:
                loss = loss + opacity.weight * opacity_loss(logits, drawn, chosen, self.frame, opacity.emphasis)
        if self.recipe.group is not None and outputs.group is not None and adult is not None:
            known = seen.whole & (adult >= 0)
            group = outputs.group.sum() * 0  # DDP waits for every weight
            if known.any():
                wanted = adult[known].float()
                group = functional.binary_cross_entropy_with_logits(outputs.group[known].float(), wanted)
            loss = loss + self.recipe.group.weight * group
        return loss

    def _class_loss(self, logits: Tensor, targets: Tensor, chosen: Tensor) -> Tensor:
        if not chosen.any():
            return logits.sum() * 0
        return loss_of(logits[chosen].float(), targets[chosen], self.recipe.loss, self.weights)

    def figures(self, outputs: Sequence[Outputs], films: Examples, masks: Sequence[Tensor] = ()) -> dict[str, float]:
        """Of what the network gave for the batches of validation: loss, figures of whole films, and of what else.

        `masks` are the true ones of the lungs, batch by batch.
        """
        logits = np.asarray(torch.cat([part.film for part in outputs]).double().numpy())
        whole = np.ones(len(films), bool) if films.facts is None else ~films.facts.lungs_only
        either = None if films.either is None else films.either[whole]
        measured = figures(logits[whole], films.targets[whole], either)
        detector, head = self.recipe.detector, self.network.boxes
        # Of films that show their lungs alone no boxes were sought.
        drawn = films.boxes and [known if seen else None for known, seen in zip(films.boxes, whole, strict=True)]
        if detector is not None and head is not None and any(known is not None for known in drawn or ()):
            boxes = [part.boxes for part in outputs if part.boxes is not None]
            of_boxes = box_figures(boxes, replace(films, boxes=drawn), head, detector)
            measured |= {**of_boxes, "loss": of_boxes["loss"] + detector.image_weight * measured["loss"]}
        if films.facts is not None and self.network.lungs is not None:
            measured |= view_figures(outputs, films)
        if films.facts is not None and self.network.masks is not None:
            known = torch.from_numpy(whole & (films.facts.masks >= 0))
            found = torch.cat([part.masks for part in outputs if part.masks is not None])[known] > 0
            measured |= mask_figures(found.numpy(), (torch.cat(list(masks))[known] > HALF).numpy())
        return measured
