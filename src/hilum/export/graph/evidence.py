"""Where the decision of a network that looks twice comes from, as one map of each class.

The decision hangs on four scores of a film, added up with weights: of each view the log odds of its classes, and the
mean over the highest places of its map of opacities. Each score is a mean over the places of a map, so the sum of these
maps, each times its weight, says which places made the decision, in log odds. To the log odds of a view belongs its
class activation map, exact. Of a map of opacities the highest places alone have a say, counted from what the highest
places of films without pneumonia are like.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from hilum.export.calibrate import groups
from hilum.export.graph.read import Read
from hilum.export.joining import MAPS, Joining
from hilum.network.heads.opacity import STRIDES, highest_places
from hilum.network.heads.resample import Resample
from hilum.network.network import Network

JOINED = "{} and highest places of both views, joined"


class Evidence(nn.Module):
    """The maps of both views as one of each class (films, classes, rows, columns), over the places of the opacities.

    There may be several joinings, for groups of patients; a film's is then mixed by how likely it is of each.
    """

    weights: Tensor
    usual: Tensor
    raised: Tensor
    inside: Tensor
    outside: Tensor
    back: Tensor

    def __init__(self, network: Network, joinings: Sequence[Joining], positive: list[int]) -> None:
        super().__init__()
        assert network.lungs is not None
        film, lungs = network.input_size, network.lungs.input_size
        places, coarse = (at(film, stride) for stride in STRIDES)
        lung_places, lung_coarse = (at(lungs, stride) for stride in STRIDES)
        self.film, self.lungs = Resample(coarse, places), Resample(lung_coarse, places)
        self.lung_places = Resample(lung_places, places)
        weights = torch.tensor([joining.weights for joining in joinings])
        self.register_buffer("weights", weights)  # (joinings, 4)
        # What the highest places of films without pneumonia add to the log odds.
        self.register_buffer("usual", weights[:, MAPS] * torch.tensor([joining.usual for joining in joinings]))
        inside, outside = groups(network.classes, positive)
        self.register_buffer("raised", torch.tensor([float(column in inside) for column in range(network.classes)]))
        self.register_buffer("inside", torch.tensor(inside))
        self.register_buffer("outside", torch.tensor(outside))
        self.register_buffer("back", torch.tensor(inside + outside).argsort())

    def forward(self, film: Read, opacity: Tensor, lungs: Read, lung_opacity: Tensor, whose: Tensor | None) -> Tensor:
        """Of both views; `whose` (films, joinings) is how likely each joining is the one, None where there is one."""
        assert film.heatmaps is not None and lungs.heatmaps is not None
        weights, usual = (self.weights, self.usual) if whose is None else (whose @ self.weights, whose @ self.usual)
        own, places, lung_own, lung_places = (each[:, :, None, None] for each in torch.split(weights, 1, 1))
        usual_places, usual_lung_places = (each[:, :, None, None] for each in torch.split(usual, 1, 1))
        # Of the lungs all classes become one map, for which of them it is says the view of the film.
        lung_map = (self._slopes(lungs.logits)[:, :, None, None] * lungs.heatmaps).sum(1, keepdim=True)
        shared = (
            (places * opacity - usual_places) * highest_places(opacity)
            + self.lungs(lung_own * lung_map)
            + self.lung_places((lung_places * lung_opacity - usual_lung_places) * highest_places(lung_opacity))
        )
        evidence: Tensor = own * self.film(film.heatmaps) + self.raised[:, None, None] * shared
        return evidence

    def _slopes(self, logits: Tensor) -> Tensor:
        """How the log odds of pneumonia change with each logit (films, classes)."""
        inside, outside = logits.index_select(1, self.inside), logits.index_select(1, self.outside)
        return torch.cat((inside.softmax(1), -outside.softmax(1)), 1).index_select(1, self.back)


def at(size: tuple[int, int], stride: int) -> tuple[int, int]:
    """Rows and columns of a map of this stride over films of this size."""
    return size[0] // stride, size[1] // stride
