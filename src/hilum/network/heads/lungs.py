"""The head that finds the lungs, and the film with all but its lungs blackened."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.network.heads.resample import Resample

STRIDES = (4, 8, 16, 32)  # of the maps it reads; what it gives has the finest one
WIDTH = 32
SHARPNESS = 4.0  # by which logits are multiplied, so that a mask is nearly black and white
# Shares of a picture that two lungs may take; a mask outside of them is not believed.
SMALLEST, LARGEST = 0.06, 0.7


class LungHead(nn.Module):
    """A light pyramid: every map narrowed, the coarser ones added to the finer."""

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        self.narrow = nn.ModuleList(nn.Conv2d(width, WIDTH, 1) for width in channels)
        self.smooth = nn.Conv2d(WIDTH, WIDTH, 3, padding=1)
        self.output = nn.Conv2d(WIDTH, 1, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """(films, 1, rows, columns): logits of a place being lung, at a quarter of the film's sides."""
        *finer, coarsest = (layer(map_) for layer, map_ in zip(self.narrow, maps, strict=True))
        for map_ in reversed(finer):
            coarsest = map_ + functional.interpolate(coarsest, scale_factor=2.0, mode="nearest")
        logits: Tensor = self.output(functional.relu(self.smooth(functional.relu(coarsest))))
        return logits


class Blackened(nn.Module):
    """Films made small with everything but the lungs black: what the lungs view looks at."""

    def __init__(self, size: tuple[int, int], side: int) -> None:
        super().__init__()
        height, width = size
        self.film = Resample(size, (side, side))
        self.mask = Resample((height // STRIDES[0], width // STRIDES[0]), (side, side))

    def forward(self, films: Tensor, masks: Tensor) -> Tensor:
        """`masks` (films, 1, rows, columns) from 0 to 1, at a quarter of the films' sides; grown a little first."""
        grown = functional.avg_pool2d(functional.max_pool2d(masks, 3, 1, 1), 3, 1, 1, count_include_pad=False)
        blackened: Tensor = self.film(films) * self.mask(grown)
        return blackened


def masks_of(logits: Tensor) -> Tensor:
    """The masks from 0 to 1 that logits say, whatever they look like."""
    return torch.sigmoid(SHARPNESS * logits)


def believed(logits: Tensor) -> Tensor:
    """The masks (films, 1, rows, columns) from 0 to 1 that logits say; all 1 where no pair of lungs looks like that."""
    masks = masks_of(logits)
    share = masks.mean((2, 3), keepdim=True)
    plausible = ((share > SMALLEST) & (share < LARGEST)).to(masks.dtype)
    return masks * plausible + (1 - plausible)
