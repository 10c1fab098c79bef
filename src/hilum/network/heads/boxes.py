"""The head that says where: RetinaNet's pyramid over a body's maps, a score and a box for each anchor.

RetinaNet (Lin et al., 2017) over the maps of any timm network. Parts of torchvision's are used where they can be; its
forward takes lists of images of any size and cannot be told that the boxes of a film are unknown.
"""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torchvision.ops import FeaturePyramidNetwork

from hilum.network.heads.anchors import SCALES, boxes_of, draw_anchors
from hilum.network.heads.pyramid import GROUPS, Pyramid

RARE = 0.01  # how likely an anchor is taken for an opacity before training, so that the many negatives do not drown it


class Boxes(NamedTuple):
    """The boxes of a batch, as many rows a film as the film with most has: corners in pixels of the input.

    `present` tells boxes from filling. A film whose boxes are not `known` says nothing about boxes, whereas a known
    film without any is all background.
    """

    corners: Tensor  # (films, most, 4)
    present: Tensor  # (films, most)
    known: Tensor  # (films,)


class Candidates(NamedTuple):
    """What a head makes of every anchor or query of a batch: a logit, and four numbers that are its box.

    A head that matches its candidates with true boxes itself gives the loss of the batch, too.
    """

    scores: Tensor  # (films, anchors)
    offsets: Tensor  # (films, anchors, 4)
    loss: Tensor | None = None


class Tower(nn.Module):
    """The same few convolutions over every map, then one output of `numbers` for each anchor."""

    def __init__(self, pyramid: Pyramid, numbers: int, start: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for _ in range(pyramid.depth):
            normalized = pyramid.norm == "group"
            layers.append(nn.Conv2d(pyramid.width, pyramid.width, 3, padding=1, bias=not normalized))
            layers += [nn.GroupNorm(GROUPS, pyramid.width)] if normalized else []
            layers.append(nn.ReLU())
        self.numbers = numbers
        self.convolutions = nn.Sequential(*layers)
        self.output = nn.Conv2d(pyramid.width, len(SCALES) * len(pyramid.ratios) * numbers, 3, padding=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        assert self.output.bias is not None
        nn.init.constant_(self.output.bias, start)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(films, anchors, numbers), anchors by map, then row, column, kind."""
        numbers = [self.output(self.convolutions(map_)).permute(0, 2, 3, 1) for map_ in maps]
        return torch.cat([one.reshape(one.shape[0], -1, self.numbers) for one in numbers], 1)


class BoxHead(nn.Module):
    """Reads the maps of a body, finest first. Boxes are corners (left, top, right, bottom)."""

    suppresses = True  # several anchors may stand for one box
    anchors: Tensor
    frame: Tensor

    def __init__(self, pyramid: Pyramid, channels: Sequence[int], input_size: tuple[int, int]) -> None:
        super().__init__()
        self.pyramid = pyramid
        self.fpn = FeaturePyramidNetwork(list(channels), pyramid.width)
        above = pyramid.levels - len(channels)
        self.above = nn.ModuleList(nn.Conv2d(pyramid.width, pyramid.width, 3, 2, 1) for _ in range(above))
        self.score_tower = Tower(pyramid, 1, -math.log((1 - RARE) / RARE))
        self.box_tower = Tower(pyramid, 4, 0.0)
        height, width = input_size
        # In pixels of the input. Drawn anew for each size, so no part of the weights.
        self.register_buffer("anchors", draw_anchors(pyramid, input_size), persistent=False)
        self.register_buffer("frame", torch.tensor([width, height] * 2, dtype=torch.float32), persistent=False)

    def forward(self, maps: Sequence[Tensor]) -> Candidates:
        levels = list(self.fpn(OrderedDict((str(number), map_) for number, map_ in enumerate(maps))).values())
        for layer in self.above:
            levels.append(layer(levels[-1]))
        return Candidates(self.score_tower(levels)[..., 0], self.box_tower(levels))

    def boxes_at(self, offsets: Tensor, chosen: Tensor) -> Tensor:
        """Corners, as fractions of the picture, of the chosen anchors (n) with the offsets (anchors, 4)."""
        return boxes_of(offsets[chosen], self.anchors.to(offsets.device)[chosen], self.frame.to(offsets.device))

    def corners(self, offsets: Tensor) -> Tensor:
        """The boxes that offsets (..., anchors, 4) make of the anchors, as fractions of the picture."""
        return boxes_of(offsets, self.anchors, self.frame)
