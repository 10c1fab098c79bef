"""Anchors: boxes drawn beforehand at every place of a map, and the offsets that make them the boxes of a film."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from hilum.network.heads.pyramid import Pyramid

SCALES = (1.0, 2 ** (1 / 3), 2 ** (2 / 3))  # sides of the anchors at a place, between one map and the next
LARGEST_SCALE = math.log(8.0)  # an anchor is stretched at most so far: keeps the exponential from overflowing


def draw_anchors(pyramid: Pyramid, size: tuple[int, int]) -> Tensor:
    """(anchors, 4): corners in pixels, centered on each map's places, in the order of the towers' outputs."""
    kinds = [
        (pyramid.anchor * scale / math.sqrt(ratio), pyramid.anchor * scale * math.sqrt(ratio))
        for scale in SCALES
        for ratio in pyramid.ratios
    ]
    drawn = []
    for stride in pyramid.strides:
        rows, columns = (-(-side // stride) for side in size)
        y = (torch.arange(rows, dtype=torch.float32) + 0.5) * stride
        x = (torch.arange(columns, dtype=torch.float32) + 0.5) * stride
        centers = torch.stack(torch.meshgrid(y, x, indexing="ij"), -1).flip(-1).reshape(-1, 1, 2)
        half = torch.tensor(kinds, dtype=torch.float32).reshape(1, -1, 2) * (stride / 2)
        drawn.append(torch.cat([centers - half, centers + half], 2).reshape(-1, 4))
    return torch.cat(drawn)


def encode(boxes: Tensor, anchors: Tensor) -> Tensor:
    """The offsets that make these anchors these boxes; both (..., 4)."""
    from_center, from_size = center_and_size(anchors)
    center, size = center_and_size(boxes)
    return torch.cat([(center - from_center) / from_size, torch.log(size / from_size)], -1)


def decode(offsets: Tensor, anchors: Tensor) -> Tensor:
    """The boxes that offsets make of anchors: the way back."""
    from_center, from_size = center_and_size(anchors)
    center = offsets[..., :2] * from_size + from_center
    half = from_size * torch.exp(offsets[..., 2:].clamp(max=LARGEST_SCALE)) / 2
    return torch.cat([center - half, center + half], -1)


def boxes_of(offsets: Tensor, anchors: Tensor, frame: Tensor) -> Tensor:
    """The boxes that offsets make of anchors, as fractions of a picture of the size `frame`, cut at its edges."""
    return (decode(offsets, anchors) / frame).clamp(0, 1)


def center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    """Of corners (..., 4): two (..., 2)."""
    return (boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]
