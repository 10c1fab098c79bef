"""What is particular to finding boxes in training: the loss of a batch, and the figures of validation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torchvision.ops import batched_nms

from hilum.measures.boxes.coco import coco_precision
from hilum.measures.boxes.overlap import Detections, match
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores, mean_of_counted
from hilum.network.detector import Detector, Found, decode
from hilum.training.feed.boxes import batch_boxes
from hilum.training.feed.feed import Batch, Examples
from hilum.training.feed.mosaic import mosaic
from hilum.training.recipe import Recipe
from hilum.training.task.box_loss import box_losses
from hilum.training.task.objective import class_weights, figures, loss_of
from hilum.training.variation.augment import Floats

# While training, boxes are judged by one setting; which is best is swept at export.
NMS_OVERLAP, MOST_BOXES, LEAST_SCORE = 0.3, 50, 0.02
SCORE_THRESHOLDS = np.arange(0.05, 0.95, 0.05)


class Detection:
    """A Detector and what it is trained for."""

    def __init__(self, network: Detector, recipe: Recipe, train: Examples, device: torch.device) -> None:
        assert recipe.detector is not None
        self.network, self.recipe, self.settings = network, recipe, recipe.detector
        self.weights = class_weights(recipe.loss, train.counts(network.classes), device)

    def loss(self, trained: Callable[[Tensor], Any], films: Tensor, batch: Batch, place: Sequence[int]) -> Tensor:
        """The mean loss of a batch: scores, boxes and image-level classes together."""
        drawn = batch.boxes
        assert drawn is not None
        mixed = int(self.settings.mosaic * len(films))
        if mixed:
            films, drawn = mosaic(films, drawn, mixed, place)
        found: Found = trained(films)
        boxes = box_losses(found, self.network.anchors, drawn, self.settings.box_loss)
        # A mosaic has no class as a whole: it may hold the quarter of an abnormal film that shows nothing.
        image = loss_of(found.image[mixed:].float(), batch.targets[mixed:], self.recipe.loss, self.weights)
        return boxes.scores + self.settings.box_weight * boxes.boxes + self.settings.image_weight * image

    def figures(self, said: Sequence[Found], films: Examples) -> dict[str, float]:
        """Of what the network said of the batches of validation: loss, image-level figures, and two of boxes.

        `ap50` is average precision at an overlap of 0.5; `rsna_score` that of the best score threshold on these films.
        """
        assert films.boxes is not None
        image = torch.cat([part.image for part in said]).double().numpy()
        found = [detections for part in said for detections in self.detections(part)]
        known = [place for place, boxes in enumerate(films.boxes) if boxes is not None]
        truths = [as_sides(np.asarray(films.boxes[place])) for place in known]
        judged = [found[place] for place in known]
        matches = match(truths, judged, OVERLAPS)
        scores = [mean_of_counted(film_scores(matches, threshold)) for threshold in SCORE_THRESHOLDS]
        measured = figures(np.asarray(image), films.targets, films.either)
        return {
            **measured,
            "loss": self._box_loss(said, films.boxes) + self.settings.image_weight * measured["loss"],
            "ap50": coco_precision(truths, judged).at_50,
            "rsna_score": max(scores),
        }

    def _box_loss(self, said: Sequence[Found], boxes: Sequence[Floats | None]) -> float:
        """That of training, without what the image-level classes add."""
        anchors, done, total = self.network.anchors.cpu(), 0, 0.0
        for part in said:
            films = np.arange(done, done + len(part.scores))
            known = batch_boxes(boxes, films, None, self.network.input_size)
            losses = box_losses(part, anchors, known, self.settings.box_loss)
            total += float(losses.scores + self.settings.box_weight * losses.boxes) * len(films)
            done += len(films)
        return total / done

    def detections(self, found: Found) -> list[Detections]:
        """The boxes of each film of a batch, suppressed, in pixels of the input."""
        height, width = self.network.input_size
        frame = torch.tensor([width, height, width, height], dtype=torch.float32)
        anchors = self.network.anchors.cpu()
        results = []
        for scores, offsets in zip(found.scores.float().sigmoid(), found.offsets.float(), strict=True):
            chosen = torch.nonzero(scores > LEAST_SCORE).squeeze(1)
            chosen = chosen[scores[chosen].argsort(descending=True, stable=True)[:1000]]
            boxes = decode(offsets[chosen], anchors[chosen])
            boxes = boxes.clamp(min=0).minimum(frame)
            kept = batched_nms(boxes, scores[chosen], torch.zeros_like(chosen), NMS_OVERLAP)[:MOST_BOXES]
            corners = boxes[kept].double().numpy()
            results.append(Detections(as_sides(corners), scores[chosen][kept].double().numpy()))
        return results


def as_sides(corners: Floats) -> Floats:
    """Left, top, right, bottom as x, y, width, height."""
    return np.concatenate([corners[:, :2], corners[:, 2:] - corners[:, :2]], axis=1)
