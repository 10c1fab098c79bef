"""Heatmaps as part of the graph: from the last feature map to features, logits, and where the evidence lies.

ONNX runtimes know no gradients, so a heatmap must have a closed form:

- One linear layer on the average of the maps. The class activation map (Zhou et al. 2016) is exact: its mean over the
  places is the logit less the layer's bias. Places that speak against a class are negative.
- Fully connected layers with ReLU between them. The gradient of a logit at the last feature map is a product of their
  weights and of the masks of active units, so Grad-CAM (Selvaraju et al. 2017) needs no backward pass: the weight of a
  map is the mean of its gradient over the places, and negative sums are cut to 0, as its authors define it. Where the
  head ends in log-softmax, the gradient is that of the logit before it, as theirs is. A layer normalization between the
  average and these layers, as transformers have, is one more factor; what decides by a class token, class_token.py;
  by decoders that attend to maps, multi_scale.py.

Anything else has none, and the bundle says why. Nothing is made up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.export.graph.backward import (
    as_linear,
    grad_cam,
    gradient_after_first,
    gradient_before_layers,
    gradient_before_norm,
    through_layers,
)
from hilum.export.graph.class_token import ClassTokenReading, before_last_block, class_token_network
from hilum.export.graph.multi_scale import MultiScaleReading, linear_layers
from hilum.export.graph.read import CLASS_ACTIVATION_MAP, GRAD_CAM, Read
from hilum.network.body import Body
from hilum.network.ending import normalized
from hilum.network.multi_scale import MultiScaleBody
from hilum.network.view import View


class LinearReading(nn.Module):
    """The class activation map of a linear layer on averaged maps."""

    kind = CLASS_ACTIVATION_MAP

    def __init__(self, linear: nn.Linear) -> None:
        super().__init__()
        self.linear = linear
        self.each_place = nn.Conv2d(linear.in_features, linear.out_features, 1, bias=False)
        self.each_place.weight = nn.Parameter(linear.weight.detach()[:, :, None, None])

    def forward(self, maps: Tensor) -> Read:
        features = maps.mean((2, 3))
        return Read(features, self.linear(features), self.each_place(maps))


class ReluReading(nn.Module):
    """Grad-CAM of fully connected layers with ReLU between them, the first `inside` of which belong to the body."""

    kind = GRAD_CAM

    def __init__(self, pool: nn.Module, layers: list[nn.Linear], inside: int, map_size: tuple[int, int, int]) -> None:
        super().__init__()
        self.pool, self.layers, self.inside = pool, nn.ModuleList(layers), inside
        # Pooling gives every place the same total share, so the mean of the gradient over places does not depend on
        # how it pools: it is the sum over the pooled places.
        channels, height, width = map_size
        first = layers[0].weight.detach()
        self.register_buffer("to_maps", first.reshape(len(first), channels, -1).sum(2) / (height * width))
        self.to_maps: Tensor

    def forward(self, maps: Tensor) -> Read:
        layers = as_linear(self.layers)
        active, logits = through_layers(layers, self.pool(maps))
        weights = gradient_after_first(layers, active) @ self.to_maps
        return Read(active[self.inside], logits, grad_cam(weights, maps))


class NormalizedReading(nn.Module):
    """Grad-CAM of one or several layers on averaged maps that are normalized first."""

    kind = GRAD_CAM

    def __init__(self, norm: nn.LayerNorm, layers: list[nn.Linear]) -> None:
        super().__init__()
        self.norm, self.layers = norm, nn.ModuleList(layers)

    def forward(self, maps: Tensor) -> Read:
        layers = as_linear(self.layers)
        average = maps.mean((2, 3))
        features = normalized(self.norm, average)
        active, logits = through_layers(layers, features)
        weights = gradient_before_norm(self.norm, average, gradient_before_layers(layers, active))
        return Read(features, logits, grad_cam(weights / maps[0, 0].numel(), maps))


class PlainReading(nn.Module):
    """No heatmap; `kind` says why."""

    def __init__(self, body: Body, head: nn.Module, reason: str) -> None:
        super().__init__()
        self.body, self.head, self.kind = body, head, f"none: {reason}"

    def forward(self, maps: Tensor) -> Read:
        features = self.body.pool(maps)
        return Read(features, self.head(features), None)


class LinearPool(nn.Module):
    """Adaptive average pooling, for which ONNX has no operator: it is linear along each side."""

    rows: Tensor
    columns: Tensor

    def __init__(self, size: tuple[int, int], map_size: tuple[int, int]) -> None:
        super().__init__()
        self.pools = size != map_size
        rows, columns = (
            functional.adaptive_avg_pool1d(torch.eye(side)[None], pooled)[0]
            for side, pooled in zip(map_size, size, strict=True)
        )
        self.register_buffer("rows", rows.T.contiguous())
        self.register_buffer("columns", columns)

    def forward(self, maps: Tensor) -> Tensor:
        return self.rows @ maps @ self.columns if self.pools else maps


class AveragePool(nn.Module):
    """The average of maps over their places."""

    def forward(self, maps: Tensor) -> Tensor:
        return maps.mean((2, 3))


Reading = LinearReading | ReluReading | NormalizedReading | ClassTokenReading | MultiScaleReading | PlainReading


def maps_of(body: Body) -> Callable[[Tensor], tuple[Tensor, list[Tensor]]]:
    """What gives a body's last feature map and its taps: of the features block where wide layers read it, the tokens
    before the last block where that is read for a class token, else the map of the whole body, laid out as places.

    It is chosen once: torch exchanges the types of modules while it traces them.
    """
    if stacked := _features_block(body):
        return partial(_untapped, stacked)
    if (net := class_token_network(body)) is not None:
        return partial(_untapped, before_last_block(net).forward_features)
    return partial(_as_places, body)


def _untapped(part: Callable[[Tensor], Tensor], x: Tensor) -> tuple[Tensor, list[Tensor]]:
    return part(x), []


def _as_places(body: Body, x: Tensor) -> tuple[Tensor, list[Tensor]]:
    maps, taps = body.maps_and_taps(x)
    return body.places(maps), taps


def reading_of(view: View, maps: Tensor) -> Reading:
    """How the rest of a view reads its last feature map, of which `maps` is an example."""
    body, head = view.body, list(_flat(view.head))
    chain = _linear_with_relu(head)
    if body.traced and chain:
        if body.norm is not None:
            return NormalizedReading(body.norm, chain)
        return LinearReading(chain[0]) if len(chain) == 1 else ReluReading(AveragePool(), chain, 0, _size(maps))
    if (net := class_token_network(body)) is not None and chain:
        return ClassTokenReading(net, chain)
    if isinstance(body, MultiScaleBody) and (layers := linear_layers(head)):
        return MultiScaleReading(body, layers)
    if _features_block(body) is not None and (read := _read_flattened(body, head, maps)):
        return read
    reason = f"{view.backbone.name} ends neither in an average of feature maps nor in ReLU layers on one"
    return PlainReading(body, view.head, reason)


def _read_flattened(body: Body, head: list[nn.Module], maps: Tensor) -> ReluReading | None:
    """How wide layers read the flattened map of a features block."""
    size = _size(maps)
    wide = list(_flat(nn.Sequential(*list(body.children())[1:])))
    pool = nn.Sequential(nn.Flatten(1))
    if isinstance(wide[0], nn.AdaptiveAvgPool2d):
        assert isinstance(wide[0].output_size, tuple)
        height, width = wide.pop(0).output_size  # type: ignore[misc]
        # In the place of the network's own, because the gate may read what it gives.
        body.avgpool = LinearPool((height, width), size[1:])
        pool.insert(0, body.avgpool)
    chain = _linear_with_relu([*wide, *head])
    inside = sum(isinstance(layer, nn.Linear) for layer in wide)
    return ReluReading(pool, chain, inside, size) if chain and len(chain) > 1 else None


def _features_block(body: Body) -> nn.Module | None:
    return None if body.averaged else dict(body.named_children()).get("features")


def _flat(module: nn.Module) -> Iterator[nn.Module]:
    """The layers of nested sequences in order, without those that do nothing in a finished model."""
    if isinstance(module, nn.Sequential):
        for child in module:
            yield from _flat(child)
    elif not isinstance(module, (nn.Dropout, nn.Identity, nn.Flatten, nn.LogSoftmax)):
        yield module


def _linear_with_relu(layers: list[nn.Module]) -> list[nn.Linear] | None:
    """The linear layers, if ReLU is all that stands between them."""
    linear = [layer for layer in layers if isinstance(layer, nn.Linear)]
    alternating = len(layers) == 2 * len(linear) - 1 and all(isinstance(layer, nn.ReLU) for layer in layers[1::2])
    return linear if linear and alternating and layers[::2] == linear else None


def _size(maps: Tensor) -> tuple[int, int, int]:
    channels, height, width = maps.shape[1:]
    return channels, height, width
