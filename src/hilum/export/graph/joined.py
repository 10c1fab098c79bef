"""The second look as part of the graph: lungs found, everything else blackened, both views joined."""

from __future__ import annotations

import copy
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hilum.export.calibrate import groups
from hilum.export.graph.probability import together
from hilum.export.joining import Joining
from hilum.network.body import Body
from hilum.network.heads.lungs import STRIDES as LUNG_STRIDES
from hilum.network.heads.lungs import believed
from hilum.network.heads.opacity import STRIDES as OPACITY_STRIDES
from hilum.network.heads.opacity import highest
from hilum.network.network import Network


class TwoLooks(NamedTuple):
    """`logits` (n, classes) have the log odds of pneumonia that both views give together; `lungs` (n, rows, columns) is
    the mask from 0 to 1 by which the second one was blackened, all 1 where none was believed."""

    logits: Tensor
    lungs: Tensor


class Joined(nn.Module):
    """The logits of the view of the film in, those of both views together out."""

    inside: Tensor
    outside: Tensor
    raised: Tensor
    weights: Tensor

    def __init__(self, network: Network, joining: Joining, positive: list[int]) -> None:
        super().__init__()
        assert network.masks is not None and network.blackened is not None and network.lungs is not None
        assert network.film.opacity is not None
        self.masks, self.opacity = copy.deepcopy(network.masks), copy.deepcopy(network.film.opacity)
        self.blackened, self.lungs = copy.deepcopy(network.blackened), copy.deepcopy(network.lungs)
        inside, outside = groups(network.classes, positive)
        self.register_buffer("inside", torch.tensor(inside))
        self.register_buffer("outside", torch.tensor(outside))
        self.register_buffer("raised", torch.tensor([float(column in inside) for column in range(network.classes)]))
        self.register_buffer("weights", torch.tensor(joining.weights)[:, None])
        self.offset = joining.offset

    def forward(self, grey: Tensor, body: Body, maps: list[Tensor], logits: Tensor) -> TwoLooks:
        """Of films in [0, 1] (n, 1, height, width) and the maps that the body of the first view gave for them."""
        masks = believed(self.masks(body.select(maps, LUNG_STRIDES)))
        looked = self.lungs.look(self.blackened(grey, masks))
        assert looked.opacity is not None
        own = self._odds(logits)
        places = highest(self.opacity(*body.select(maps, OPACITY_STRIDES)))[:, None]
        scores = torch.cat([own, places, self._odds(looked.film), highest(looked.opacity)[:, None]], 1)
        joined = logits + (scores @ self.weights + self.offset - own) * self.raised
        return TwoLooks(joined, masks.squeeze(1))

    def _odds(self, logits: Tensor) -> Tensor:
        return together(logits.index_select(1, self.inside)) - together(logits.index_select(1, self.outside))
