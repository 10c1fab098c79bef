"""Normalization and repeated channels folded into the first convolution: less to compute in a finished model."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn

from hilum.network.view import Normalization, View


class Shift(nn.Module):
    """What folding leaves to do: take off one mean and, where the channels' means differ, add a channel of ones."""

    def __init__(self, mean: float, ones: bool) -> None:
        super().__init__()
        self.mean, self.ones = mean, ones

    def forward(self, x: Tensor) -> Tensor:
        x = x - self.mean
        return torch.cat((x, torch.ones_like(x)), 1) if self.ones else x


def fold_input(view: View) -> View:
    """A copy that gives the same logits for grey films, whose first convolution reads one channel, or two.

    Means that differ between channels cannot go into the convolution's bias: what it pads with stands for the mean of
    each channel, so the bias would be wrong along the border. As weights on a channel of ones, padded with zeros like
    every other, they are right everywhere.
    """
    folded = copy.deepcopy(view)
    assert isinstance(folded.normalization, Normalization)
    mean, std = folded.normalization.mean, folded.normalization.std
    first = next(module for module in folded.body.modules() if isinstance(module, nn.Conv2d))
    if folded.body.finder is not None:  # noise, on which folding is tried, holds no lungs, so nobody would notice
        raise ValueError("what finds the lungs reads films as the first convolution does")
    if first.in_channels != len(mean):
        raise ValueError(f"{view.backbone.name} does something else to its input before the first convolution")
    with torch.no_grad():
        grey = first.weight / std
        offset = -(grey * (mean - mean[0])).sum(1, keepdim=True)
        ones = bool(offset.any())
        kernels = torch.cat((grey.sum(1, keepdim=True), offset), 1) if ones else grey.sum(1, keepdim=True)
    # Changed in place, because some of timm's convolutions pad in ways of their own.
    first.weight, first.in_channels = nn.Parameter(kernels), kernels.shape[1]
    folded.normalization = Shift(float(mean[0]), ones)
    return folded
