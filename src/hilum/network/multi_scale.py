"""A ResNet whose last two stages are dilated, read by attention at two scales (Fateh et al., 2024).

All its maps have a place for every eight pixels. The second and third stage together make one map, the fourth another;
each is read by one layer of a transformer's decoder whose query begins as the average of the map. What both read, one
after the other, are the features. The layers that read have no published weights: they learn with the head.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torchvision.models
from torch import Tensor, nn

from hilum.network.body import Body, Parts, layers_of
from hilum.network.heads.resample import Resample

STRIDE, LUNG_STRIDE = 8, 4  # pixels of the film along each side of a place, and of a place of a mask
CHANNELS = 256  # of each map that is read
HEADS, HIDDEN, DROPOUT = 4, 64, 0.1  # of a decoder's layer
DARKEST = 1e-6  # how much a place without lung may still be looked at, as a share of one with


class Decoder(nn.Module):
    """One layer of a transformer's decoder over the places of a map; one vector comes out.

    Positions are added to what keys and values are made of, sines of the place as in DETR; the query's is learned.
    """

    sines: Tensor

    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.position = nn.Parameter(torch.randn(CHANNELS))
        self.layer = nn.TransformerDecoderLayer(CHANNELS, HEADS, HIDDEN, DROPOUT, batch_first=True)
        # Known from the size, so no part of the weights.
        self.register_buffer("sines", sine_positions(*size), persistent=False)

    def forward(self, maps: Tensor, lungs: Tensor) -> Tensor:
        """Of a map (films, channels, height, width), looking at places as far as they are lung (films, 1, h, w)."""
        places, shares = maps.flatten(2).transpose(1, 2), lungs.flatten(2)
        query = (shares @ places) / shares.sum(2, keepdim=True) + self.position
        heard = torch.log(shares.clamp(min=DARKEST)).repeat_interleave(HEADS, 0)
        read: Tensor = self.layer(query, places + self.sines, memory_mask=heard)
        return read[:, 0]


class MultiScaleBody(Body):
    """What it gives as its last map is what both decoders read: two maps, and how much of each place is lung.

    Without a `finder` all of it counts as lung.
    """

    new = ("near", "middle", "far", "decoders", "to_places")
    fixed = ("finder",)
    seen_by_gate = ("layer2",)  # the stages after it have as many places, four times the channels and the cost

    def __init__(self, net: torchvision.models.ResNet, size: tuple[int, int]) -> None:
        layers = layers_of(net, "avgpool", "fc")
        groups = ("layer1", "layer2", "layer3", "layer4")
        super().__init__(layers, 2 * CHANNELS, averaged=False, groups=groups)
        self.published = tuple(layers)
        grid = (-(-size[0] // STRIDE), -(-size[1] // STRIDE))
        self.near = nn.Conv2d(512, CHANNELS // 2, 1, bias=False)
        self.middle = nn.Conv2d(1024, CHANNELS // 2, 1, bias=False)
        self.far = nn.Conv2d(2048, CHANNELS, 1, bias=False)
        self.decoders = nn.ModuleList([Decoder(grid), Decoder(grid)])
        self.to_places = Resample((size[0] // LUNG_STRIDE, size[1] // LUNG_STRIDE), grid)

    def maps_and_taps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Both maps, one after the other, and as a last channel how much of each place is lung; tapped is the mask."""
        layers = dict(self.named_children())
        seen, stages = x, []
        for name in self.published:
            seen = layers[name](seen)
            stages.append(seen)
        maps = [layer(stage) for layer, stage in zip((self.near, self.middle, self.far), stages[-3:], strict=True)]
        if self.finder is None:
            return torch.cat([*maps, torch.ones_like(maps[0][:, :1])], 1), []
        masks = self.finder(x)
        return torch.cat([*maps, self.to_places(masks).to(maps[0].dtype)], 1), [masks]

    def pool(self, maps: Tensor) -> Tensor:
        """What both decoders read."""
        fine, coarse, lungs = torch.split(maps, [CHANNELS, CHANNELS, 1], 1)
        near, far = self.decoders
        return torch.cat([near(fine, lungs), far(coarse, lungs)], 1)


def multi_scale_resnet(name: str, size: tuple[int, int], classes: int) -> Parts:
    """torchvision's ResNet of this name, or `resnet50_v1`, read at two scales."""
    net: Any = torchvision.models.get_model(name.removesuffix("_v1"), replace_stride_with_dilation=[False, True, True])
    if name.endswith("_v1"):  # its one stride left within a stage is in the first convolution, see resnet50_v1
        net.layer2[0].conv1.stride, net.layer2[0].conv2.stride = (2, 2), (1, 1)
    return Parts(MultiScaleBody(net, size), {})


def sine_positions(rows: int, columns: int) -> Tensor:
    """(rows * columns, channels): where a place is, as sines and cosines of its row and column counted to one turn."""
    half = CHANNELS // 2
    waves = 10000 ** (2 * (torch.arange(half) // 2) / half)

    def along(count: int) -> Tensor:
        turns = (torch.arange(count) + 1)[:, None] / count * 2 * math.pi / waves
        return torch.stack([turns[:, 0::2].sin(), turns[:, 1::2].cos()], 2).flatten(1)

    down, across = along(rows), along(columns)
    both = [down[:, None].expand(-1, columns, -1), across[None].expand(rows, -1, -1)]
    return torch.cat(both, 2).flatten(0, 1)
