"""What is learned of every place of a film: whether an opacity is there, and whether it is lung."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from hilum.network.heads.boxes import Boxes

FINER = 4  # a place is looked at in so many parts along each side to see how much of it boxes cover


def opacity_loss(logits: Tensor, boxes: Boxes, chosen: Tensor, frame: Tensor, emphasis: float) -> Tensor:
    """Mean over the places of the chosen films whose boxes are known; 0 where there is none."""
    known = chosen & boxes.known
    if not known.any():
        return logits.sum() * 0
    rows, columns = logits.shape[2:]
    wanted = coverage(boxes.corners[known] / frame, boxes.present[known], rows, columns)
    weights = 1 + (emphasis - 1) * wanted
    losses = functional.binary_cross_entropy_with_logits(logits[known, 0].float(), wanted, reduction="none")
    return (losses * weights).sum() / weights.sum()


def coverage(corners: Tensor, present: Tensor, rows: int, columns: int) -> Tensor:
    """(films, rows, columns): how much of each place the boxes of a film cover together; corners as its fractions."""
    y = (torch.arange(rows * FINER, device=corners.device) + 0.5) / (rows * FINER)
    x = (torch.arange(columns * FINER, device=corners.device) + 0.5) / (columns * FINER)
    left, top, right, bottom = corners.unbind(-1)
    across = (x >= left[..., None]) & (x < right[..., None])
    down = (y >= top[..., None]) & (y < bottom[..., None])
    inside = (down[..., :, None] & across[..., None, :] & present[..., None, None]).any(1)
    return functional.avg_pool2d(inside.float()[:, None], FINER)[:, 0]


def mask_loss(logits: Tensor, masks: Tensor, known: Tensor) -> Tensor:
    """Mean over the places of the films whose lungs are known; 0 where there is none."""
    if not known.any():
        return logits.sum() * 0
    return functional.binary_cross_entropy_with_logits(logits[known].float(), masks[known])
