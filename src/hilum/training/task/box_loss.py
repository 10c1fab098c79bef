"""What a detector's training makes small: each anchor is an opacity's, background or neither, and is judged as such."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional
from torchvision.ops import generalized_box_iou_loss, sigmoid_focal_loss

from hilum.network.heads.anchors import decode, encode
from hilum.network.heads.boxes import Boxes, Candidates

OPACITY_IOU, BACKGROUND_IOU = 0.5, 0.4  # an anchor between them is neither
BACKGROUND, NEITHER = -1, -2


class BoxLosses(NamedTuple):
    """The loss of the scores of anchors, and that of the boxes they become."""

    scores: Tensor
    boxes: Tensor


def assign(anchors: Tensor, boxes: Boxes) -> Tensor:
    """(films, anchors): the number of the box an anchor stands for, BACKGROUND or NEITHER.

    Each box also gets the anchors that overlap it most, however little, so that none goes without.
    """
    overlap = overlaps(anchors, boxes.corners).masked_fill(~boxes.present[:, None, :], -1)
    if overlap.shape[2] == 0:
        return torch.full(overlap.shape[:2], BACKGROUND, device=anchors.device)
    most, number = overlap.max(2)
    assigned = torch.where(most >= OPACITY_IOU, number, torch.where(most < BACKGROUND_IOU, BACKGROUND, NEITHER))
    best_of_box = overlap.max(1, keepdim=True).values
    nearest = ((overlap == best_of_box) & (overlap > 0)).any(2)
    return torch.where(nearest, number, assigned)


def overlaps(anchors: Tensor, corners: Tensor) -> Tensor:
    """(films, anchors, boxes): intersection over union."""
    low = torch.maximum(anchors[None, :, None, :2], corners[:, None, :, :2])
    high = torch.minimum(anchors[None, :, None, 2:], corners[:, None, :, 2:])
    shared = (high - low).clamp(min=0).prod(-1)
    area = (anchors[:, 2:] - anchors[:, :2]).prod(-1)[None, :, None]
    areas = (corners[..., 2:] - corners[..., :2]).prod(-1)[:, None, :]
    return shared / (area + areas - shared)


def box_losses(candidates: Candidates, anchors: Tensor, boxes: Boxes, kind: Literal["l1", "giou"]) -> BoxLosses:
    """Focal loss of the scores and distance of the boxes; a film's is divided by its anchors that stand for a box.

    Divided film by film, as torchvision does: films without any opacity teach what background is at full weight.
    """
    assigned = assign(anchors, boxes)
    opaque = assigned >= 0
    share = 1 / opaque.sum(1).clamp(min=1)
    judged = (assigned != NEITHER) & boxes.known[:, None]
    focal = sigmoid_focal_loss(candidates.scores.float(), opaque.float(), reduction="none")
    scores = ((focal * judged).sum(1) * share).mean()
    film, anchor = torch.nonzero(opaque & boxes.known[:, None], as_tuple=True)
    wanted = boxes.corners[film, assigned[film, anchor]]
    offsets = candidates.offsets[film, anchor].float()
    if kind == "giou":
        distance = generalized_box_iou_loss(decode(offsets, anchors[anchor]), wanted, reduction="none")
    else:
        distance = functional.l1_loss(offsets, encode(wanted, anchors[anchor]), reduction="none").sum(1)
    return BoxLosses(scores, (distance * share[film]).sum() / len(candidates.scores))
