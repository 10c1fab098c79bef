"""The head that shades where opacities are: a logit for each place of a map, learned from boxes."""

from __future__ import annotations

import math
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional

STRIDES = (16, 32)  # of the maps it reads; what it gives has the finer one
WIDTH = 64
SHARE = 0.03  # of the places, the highest ones
RARE = 0.05  # how likely a place is taken for one of an opacity before training


class OpacityHead(nn.Module):
    """Reads two maps of a body. The mean over its highest places is a score of the film that carries over to others."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.near, self.far = nn.Conv2d(channels[0], WIDTH, 1), nn.Conv2d(channels[1], WIDTH, 1)
        self.smooth = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.output = nn.Conv2d(WIDTH, 1, 1)
        assert self.output.bias is not None
        nn.init.constant_(self.output.bias, -math.log((1 - RARE) / RARE))

    def forward(self, near: Tensor, far: Tensor) -> Tensor:
        """(films, 1, rows, columns): logits."""
        raised = functional.interpolate(self.far(far), scale_factor=2.0, mode="nearest")
        logits: Tensor = self.output(functional.relu(self.smooth(functional.relu(self.near(near) + raised))))
        return logits


def highest(logits: Tensor) -> Tensor:
    """(films,): the mean over the highest places of a map, a score of the film."""
    return _highest(logits).mean(1)


def highest_places(logits: Tensor) -> Tensor:
    """0 but for the highest places, and there so much that its product with the map averages to `highest`."""
    values = _highest(logits)
    lowest = values[:, -1].reshape(-1, 1, 1, 1)
    return (logits >= lowest).to(logits.dtype) * (logits[0].numel() / values.shape[1])


def _highest(logits: Tensor) -> Tensor:
    flat = logits.flatten(1)
    return flat.topk(max(round(SHARE * flat.shape[1]), 1), 1).values
