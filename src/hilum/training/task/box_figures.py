"""How good boxes are while a network is trained, on validation films."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torchvision.ops import batched_nms

from hilum.measures.boxes.coco import coco_precision
from hilum.measures.boxes.overlap import Detections, match
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores, mean_of_counted
from hilum.network.heads.boxes import BoxHead, Candidates
from hilum.network.heads.queries import QueryHead
from hilum.radiograph.geometry import sides_of
from hilum.training.feed.boxes import batch_boxes
from hilum.training.feed.examples import Examples
from hilum.training.recipe import Detector
from hilum.training.task.box_loss import box_losses

# While training, boxes are judged by one setting; which is best is swept at export.
NMS_OVERLAP, MOST_BOXES, MOST_CANDIDATES, LEAST_SCORE = 0.3, 50, 1000, 0.02
SCORE_THRESHOLDS = np.arange(0.05, 0.95, 0.05)


def box_figures(
    candidates: Sequence[Candidates], films: Examples, head: BoxHead | QueryHead, settings: Detector
) -> dict[str, float]:
    """Loss, average precision at an overlap of 0.5, and the challenge's score at its best threshold on these films.

    Of films whose boxes are known, of which there must be some.
    """
    assert films.boxes is not None
    found = [detections for part in candidates for detections in detections_of(part, head)]
    frame = head.frame.cpu().double().numpy()
    known = [place for place, boxes in enumerate(films.boxes) if boxes is not None]
    truths = [sides_of(np.asarray(films.boxes[place]) / frame) for place in known]
    judged = [found[place] for place in known]
    matches = match(truths, judged, OVERLAPS)
    return {
        "loss": box_loss_of(candidates, films, head, settings),
        "ap50": coco_precision(truths, judged).at_50,
        "rsna_score": max(mean_of_counted(film_scores(matches, threshold)) for threshold in SCORE_THRESHOLDS),
    }


def detections_of(candidates: Candidates, head: BoxHead | QueryHead) -> list[Detections]:
    """The boxes of each film of a batch, suppressed, as fractions of the picture."""
    results = []
    for scores, offsets in zip(candidates.scores.float().sigmoid(), candidates.offsets.float(), strict=True):
        chosen = torch.nonzero(scores > LEAST_SCORE).squeeze(1)
        chosen = chosen[scores[chosen].argsort(descending=True, stable=True)[:MOST_CANDIDATES]]
        boxes = head.boxes_at(offsets, chosen)
        kept = torch.arange(len(chosen))
        if head.suppresses:
            kept = batched_nms(boxes, scores[chosen], torch.zeros_like(chosen), NMS_OVERLAP)
        kept = kept[:MOST_BOXES]
        results.append(Detections(sides_of(boxes[kept].double().numpy()), scores[chosen][kept].double().numpy()))
    return results


def box_loss_of(
    candidates: Sequence[Candidates], films: Examples, head: BoxHead | QueryHead, settings: Detector
) -> float:
    """That of training, a film whose boxes are known, without what the classes of the film add."""
    assert films.boxes is not None
    done, known, total = 0, 0, 0.0
    height, width = int(head.frame[1]), int(head.frame[0])
    for part in candidates:
        chosen = np.arange(done, done + len(part.scores))
        drawn = batch_boxes(films.boxes, chosen, None, (height, width))
        if isinstance(head, BoxHead):
            losses = box_losses(part, head.anchors.cpu(), drawn, settings.box_loss)
            total += float(losses.scores + settings.box_weight * losses.boxes) * len(chosen)
        else:
            total += settings.box_weight * float(head.loss_of(part, drawn))
        known += int(drawn.known.sum())
        done += len(chosen)
    return total / known
