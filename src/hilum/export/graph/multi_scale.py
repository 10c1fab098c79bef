"""Heatmaps of a ResNet read by attention at two scales, in closed form.

Grad-CAM is taken at both maps that the decoders read. A decoder reads its map three times: averaged, as its query, and
as keys and values. Summed over the places the gradient through the keys is zero, since shares of attention add up to
one; through the values and the query's average it is what the decoder's vector wants, back through its layers at that
one vector. So no place needs a gradient of its own. Where attention is held to the lungs, other places have no say, and
so none in the heatmap.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from hilum.export.graph.backward import grad_cam, gradient_before_norm
from hilum.export.graph.read import GRAD_CAM, Read
from hilum.network.ending import normalized
from hilum.network.multi_scale import CHANNELS, DARKEST, HEADS, Decoder, MultiScaleBody

WIDTH = CHANNELS // HEADS


def linear_layers(head: Sequence[nn.Module]) -> list[nn.Linear] | None:
    """The layers of a head that has no others than linear ones."""
    layers = [layer for layer in head if isinstance(layer, nn.Linear)]
    return layers if len(layers) == len(head) else None


class MultiScaleReading(nn.Module):
    """Both decoders and a head of linear layers, which are one, and Grad-CAM at both maps together."""

    kind = GRAD_CAM

    def __init__(self, body: MultiScaleBody, layers: Sequence[nn.Linear]) -> None:
        super().__init__()
        self.decoders = nn.ModuleList(
            DecoderReading(decoder) for decoder in body.decoders if isinstance(decoder, Decoder)
        )
        first, *further = layers
        weight, bias = first.weight.detach(), first.bias.detach()
        for layer in further:
            weight, bias = layer.weight.detach() @ weight, layer.weight.detach() @ bias + layer.bias.detach()
        self.linear = nn.Linear(2 * CHANNELS, len(weight))
        self.linear.weight, self.linear.bias = nn.Parameter(weight), nn.Parameter(bias)
        near, far = torch.split(weight[None], CHANNELS, 2)
        # The gradients of the logits at what each decoder reads.
        self.register_buffer("at_near", near.contiguous())
        self.register_buffer("at_far", far.contiguous())
        self.at_near: Tensor
        self.at_far: Tensor

    def forward(self, maps: Tensor) -> Read:
        fine, coarse, lungs = torch.split(maps, [CHANNELS, CHANNELS, 1], 1)
        near, far = self.decoders
        at_fine, of_fine = near(fine, lungs, self.at_near)
        at_coarse, of_coarse = far(coarse, lungs, self.at_far)
        joined = torch.cat([at_fine, at_coarse], 1)
        heatmaps = grad_cam(torch.cat([of_fine, of_coarse], 2), maps[:, : 2 * CHANNELS])
        return Read(joined, self.linear(joined), heatmaps * lungs)


class DecoderReading(nn.Module):
    """A decoder's layer written out, and the gradients at its map, averaged over the places."""

    def __init__(self, decoder: Decoder) -> None:
        super().__init__()
        layer = decoder.layer
        alone, across = layer.self_attn, layer.multihead_attn
        # The query is alone, so it attends to itself: what is left of that attention are two linear layers.
        (_, _, own_weight), (_, _, own_bias) = alone.in_proj_weight.chunk(3), alone.in_proj_bias.chunk(3)
        self.own, self.mixed_own = _linear(own_weight, own_bias), alone.out_proj
        weights, biases = across.in_proj_weight.chunk(3), across.in_proj_bias.chunk(3)
        self.query, self.keys, self.values = (_linear(*pair) for pair in zip(weights, biases, strict=True))
        self.mixed = across.out_proj
        self.widen, self.narrow = layer.linear1, layer.linear2
        self.norms = nn.ModuleList([layer.norm1, layer.norm2, layer.norm3])
        self.register_buffer("position", decoder.position.detach())
        self.register_buffer("sines", decoder.sines)
        self.position: Tensor
        self.sines: Tensor

    def forward(self, maps: Tensor, lungs: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
        """The vector (films, channels) that it reads, and (films, classes, channels) by how much a map counts.

        `gradient` (1, classes, channels) is that of the logits at the vector.
        """
        first, second, third = (norm for norm in self.norms if isinstance(norm, nn.LayerNorm))
        places, told = maps.flatten(2).transpose(1, 2), lungs.flatten(2)
        average = ((told @ places) / told.sum(2, keepdim=True)).squeeze(1) + self.position
        itself = average + self.mixed_own(self.own(average))
        asked = normalized(first, itself)
        seen = places + self.sines
        query, keys, values = (
            _by_head(layer(read))
            for layer, read in ((self.query, asked[:, None]), (self.keys, seen), (self.values, seen))
        )
        query = query / WIDTH**0.5
        heard = torch.log(told.clamp(min=DARKEST))[:, None]
        shares = (query @ keys.transpose(-2, -1) + heard).softmax(-1)
        gathered = shares @ values
        middle = asked + self.mixed(gathered.transpose(1, 2).flatten(1))
        inner = normalized(second, middle)
        hidden = functional.relu(self.widen(inner))
        last = inner + self.narrow(hidden)
        features = normalized(third, last)

        at_last = gradient_before_norm(third, last, gradient)
        at_inner = at_last + ((at_last @ self.narrow.weight) * hidden.sign()[:, None]) @ self.widen.weight
        at_middle = gradient_before_norm(second, middle, at_inner)
        at_gathered = _by_head(at_middle @ self.mixed.weight)
        of_values = at_gathered.transpose(1, 2).flatten(2) @ self.values.weight
        heard_more = (at_gathered @ (values - gathered).transpose(-2, -1)) * shares
        at_query = (heard_more @ keys / WIDTH**0.5).transpose(1, 2).flatten(2)
        at_itself = gradient_before_norm(first, itself, at_middle + at_query @ self.query.weight)
        of_average = at_itself + (at_itself @ self.mixed_own.weight) @ self.own.weight
        return features, (of_values + of_average) / places.shape[1]


def _by_head(x: Tensor) -> Tensor:
    """(films, rows, channels) -> (films, heads, rows, channels of a head)."""
    return x.reshape(x.shape[0], x.shape[1], HEADS, WIDTH).transpose(1, 2)


def _linear(weight: Tensor, bias: Tensor) -> nn.Linear:
    layer = nn.Linear(weight.shape[1], weight.shape[0])
    layer.weight, layer.bias = nn.Parameter(weight.detach().clone()), nn.Parameter(bias.detach().clone())
    return layer
