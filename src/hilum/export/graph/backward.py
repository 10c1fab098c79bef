"""Gradients in closed form, as ONNX runtimes know no others: of layers with ReLU between them, of normalization."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


def as_linear(layers: nn.ModuleList) -> list[nn.Linear]:
    """Layers that a module holds, as what they are."""
    return [layer for layer in layers if isinstance(layer, nn.Linear)]


def through_layers(layers: Sequence[nn.Linear], features: Tensor) -> tuple[list[Tensor], Tensor]:
    """What each of the layers reads, with ReLU between them, and the logits."""
    *hidden, last = layers
    active = [features]
    for layer in hidden:
        active.append(functional.relu(layer(active[-1])))
    return active, last(active[-1])


def gradient_after_first(layers: Sequence[nn.Linear], active: list[Tensor]) -> Tensor:
    """The gradient of each logit at what the first of several layers gives (films, classes, units)."""
    *hidden, last = layers
    gradient = last.weight[None]
    # A unit passes the gradient on where it is active.
    for layer, values in zip(hidden[:0:-1], active[:1:-1], strict=True):
        gradient = (gradient * values.sign()[:, None]) @ layer.weight
    return gradient * active[1].sign()[:, None]


def gradient_before_layers(layers: Sequence[nn.Linear], active: list[Tensor]) -> Tensor:
    """The gradient of each logit at what the layers read (films or 1, classes, features)."""
    first = layers[0].weight
    return first[None] if len(layers) == 1 else gradient_after_first(layers, active) @ first


def gradient_before_norm(norm: nn.LayerNorm, features: Tensor, gradient: Tensor) -> Tensor:
    """The gradient (films, classes, features) at what a layer normalizes, from that at what it gives."""
    centered = features - features.mean(1, keepdim=True)
    narrow = torch.rsqrt(centered.square().mean(1, keepdim=True) + norm.eps)
    gradient = gradient * norm.weight
    # Normalizing takes the mean of the levels out, and their spread; a change of either changes nothing.
    level = (centered * narrow)[:, None]
    along = (gradient * level).mean(2, keepdim=True)
    return (gradient - gradient.mean(2, keepdim=True) - along * level) * narrow[:, None]


def grad_cam(weights: Tensor, maps: Tensor) -> Tensor:
    """Maps (films, channels, height, width) weighted for each class; what speaks against it is cut to 0."""
    return functional.relu(weights @ maps.flatten(2)).reshape(-1, weights.shape[1], *maps.shape[2:])
