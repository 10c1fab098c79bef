"""How a network of timm makes its features of its last map: by an average over places, perhaps normalized.

Asked of a small made-up map, because networks end in many ways: some convolve once more after the average, some take
one token, some keep the channels in the last axis.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from timm.layers.adaptive_avgmax_pool import SelectAdaptivePool2d
from torch import Tensor, nn
from torch.nn import functional

CHANNELS_FIRST, CHANNELS_LAST, TOKENS = "channels first", "channels last", "tokens"
# What timm calls the normalization between average and last layer.
NORMS = ("head.norm", "fc_norm")


class Ending(NamedTuple):
    """How the last map is laid out, how many of its tokens are no places, and what normalizes its average."""

    layout: str
    prefix: int = 0
    norm: str | None = None

    def places(self, maps: Tensor, grid: tuple[int, int]) -> Tensor:
        """The map as (films, channels, height, width); `grid` is the height and width of tokens."""
        if self.layout == CHANNELS_LAST:
            return maps.permute(0, 3, 1, 2)
        if self.layout == TOKENS:
            return maps[:, self.prefix :].transpose(1, 2).reshape(-1, maps.shape[2], *grid)
        return maps


def ending_of(net: Any) -> Ending | None:
    """The ending of a network; None where its features are something else than an average."""
    layout = TOKENS if hasattr(net, "num_prefix_tokens") else CHANNELS_LAST if _is_last(net) else CHANNELS_FIRST
    if layout == TOKENS:
        if net.global_pool != "avg":
            return None
    elif not any(isinstance(module, SelectAdaptivePool2d) for module in net.modules()):
        return None
    prefix = net.num_prefix_tokens if layout == TOKENS else 0
    channels = net.num_features
    levels = torch.arange(4.0 * channels).sin().reshape(1, channels, 2, 2)
    maps = {CHANNELS_FIRST: levels, CHANNELS_LAST: levels.permute(0, 2, 3, 1)}.get(layout)
    if maps is None:
        maps = torch.cat([torch.ones(1, prefix, channels), levels.flatten(2).transpose(1, 2)], 1)
    with torch.no_grad():
        pooled = net.forward_head(maps, pre_logits=True)
        if pooled.is_meta or pooled.shape != (1, channels):
            return None  # where shapes alone are tried there are no numbers to compare
        average = levels.mean((2, 3))
        if torch.allclose(pooled, average, atol=1e-6):
            return Ending(layout, prefix)
        modules = dict(net.named_modules())
        for name in NORMS:
            norm = modules.get(name)
            if isinstance(norm, nn.LayerNorm) and torch.allclose(pooled, normalized(norm, average), atol=1e-5):
                return Ending(layout, prefix, name)
    return None


def normalized(norm: nn.LayerNorm, features: Tensor) -> Tensor:
    """Features as the layer normalizes them, whatever axis it takes them in."""
    return functional.layer_norm(features, norm.normalized_shape, norm.weight, norm.bias, norm.eps)


def _is_last(net: Any) -> bool:
    return str(getattr(net, "output_fmt", "")) == "NHWC"
