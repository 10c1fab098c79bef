"""The second look as part of the graph: lungs found, everything else blackened, both views joined."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hilum.export.calibrate import groups
from hilum.export.graph.evidence import Evidence
from hilum.export.graph.heatmap import reading_of
from hilum.export.graph.probability import together
from hilum.export.graph.read import Read
from hilum.export.joining import Joining
from hilum.network.body import Body
from hilum.network.heads.lungs import STRIDES as LUNG_STRIDES
from hilum.network.heads.lungs import believed
from hilum.network.heads.opacity import STRIDES as OPACITY_STRIDES
from hilum.network.heads.opacity import highest
from hilum.network.network import Network


class TwoLooks(NamedTuple):
    """`logits` (n, classes) of each joining have the log odds of pneumonia that both views give together, `heatmaps`
    (n, classes, rows, columns) say where they come from. `lungs` (n, rows, columns) is the mask from 0 to 1 by which
    the second view was blackened, all 1 where none was believed."""

    logits: list[Tensor]
    heatmaps: Tensor | None
    lungs: Tensor


class Joined(nn.Module):
    """What the view of the whole film says in, what both views say together out, for each group's joining."""

    inside: Tensor
    outside: Tensor
    raised: Tensor
    weights: Tensor
    offsets: Tensor

    def __init__(self, network: Network, joinings: Sequence[Joining], positive: list[int]) -> None:
        super().__init__()
        assert network.masks is not None and network.blackened is not None and network.lungs is not None
        assert network.film.opacity is not None
        self.masks, self.opacity = copy.deepcopy(network.masks), copy.deepcopy(network.film.opacity)
        self.blackened, self.lungs = copy.deepcopy(network.blackened), copy.deepcopy(network.lungs)
        example = torch.zeros(1, 1, *network.lungs.input_size)
        self.reading = reading_of(self.lungs, self.lungs.maps_and_taps(example)[0])
        maps = not self.reading.kind.startswith("none")
        self.evidence = Evidence(network, joinings, positive) if maps else None
        inside, outside = groups(network.classes, positive)
        self.register_buffer("inside", torch.tensor(inside))
        self.register_buffer("outside", torch.tensor(outside))
        self.register_buffer("raised", torch.tensor([float(column in inside) for column in range(network.classes)]))
        self.register_buffer("weights", torch.tensor([joining.weights for joining in joinings]).T.contiguous())
        self.register_buffer("offsets", torch.tensor([joining.offset for joining in joinings]))

    def forward(self, grey: Tensor, body: Body, taps: list[Tensor], film: Read, groups: Tensor | None) -> TwoLooks:
        """Of films in [0, 1] (n, 1, height, width), and of what the body and the reading of the first view gave.

        `groups` (n, joinings) are how likely each joining is the film's, where there are several.
        """
        masks = believed(self.masks(body.select(taps, LUNG_STRIDES)))
        maps, lung_taps = self.lungs.maps_and_taps(self.blackened(grey, masks))
        lungs = self.reading(maps)
        opacity = self.opacity(*body.select(taps, OPACITY_STRIDES))
        assert self.lungs.opacity is not None
        lung_opacity = self.lungs.opacity(*self.lungs.body.select(lung_taps, OPACITY_STRIDES))
        own = self._odds(film.logits)
        scores = torch.cat(
            [own, highest(opacity)[:, None], self._odds(lungs.logits), highest(lung_opacity)[:, None]], 1
        )
        further = scores @ self.weights + self.offsets - own
        joined = [film.logits + each * self.raised for each in torch.split(further, 1, 1)]
        heatmaps = None if self.evidence is None else self.evidence(film, opacity, lungs, lung_opacity, groups)
        return TwoLooks(joined, heatmaps, masks.squeeze(1))

    def _odds(self, logits: Tensor) -> Tensor:
        return together(logits.index_select(1, self.inside)) - together(logits.index_select(1, self.outside))
