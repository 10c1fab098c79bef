"""Heatmaps of vision transformers that decide by a class token.

The class token sees the places in the last block only by attention, so Grad-CAM is taken where that reads them: at what
the block's first normalization gives. The gradient of a logit there has a closed form: back through the head, the last
normalization, the block's layers at the class token alone, then along its attention, through values and keys, to the
places. Distilled, gated and otherwise normalized attention has none here.
"""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from timm.layers.attention import Attention
from timm.layers.layer_scale import LayerScale
from timm.layers.mlp import Mlp
from timm.models.vision_transformer import Block, VisionTransformer
from torch import Tensor, nn
from torch.nn import functional

from hilum.export.graph.backward import (
    as_linear,
    grad_cam,
    gradient_before_layers,
    gradient_before_norm,
    through_layers,
)
from hilum.export.graph.read import GRAD_CAM, Read
from hilum.network.body import Body
from hilum.network.ending import normalized


def class_token_network(body: Body) -> Any | None:
    """The network beneath, if it decides by a class token whose last block can be traced back."""
    net = getattr(body, "net", None)
    if type(net) is not VisionTransformer or net.global_pool != "token" or not isinstance(net.fc_norm, nn.Identity):
        return None
    block = net.blocks[-1]
    if type(block) is not Block or type(block.attn) is not Attention or type(block.mlp) is not Mlp:
        return None
    attention, layers = block.attn, block.mlp
    plain = (attention.q_norm, attention.k_norm, attention.norm, layers.norm)
    if attention.gate is not None or not all(isinstance(each, nn.Identity) for each in plain):
        return None
    norms = (block.norm1, block.norm2, net.norm)
    exact = isinstance(layers.act, nn.GELU) and layers.act.approximate == "none"
    return net if exact and all(isinstance(norm, nn.LayerNorm) for norm in norms) else None


def before_last_block(net: Any) -> Any:
    """The network up to its last block, of the same parts: its `forward_features` gives what that block reads."""
    early = copy.copy(net)
    early._modules = {**net._modules, "blocks": net.blocks[:-1], "norm": nn.Identity()}
    return early


class ClassTokenReading(nn.Module):
    """The last block, at the class token alone, and Grad-CAM at the places that it attends to."""

    kind = GRAD_CAM

    def __init__(self, net: Any, layers: list[nn.Linear]) -> None:
        super().__init__()
        self.block, self.norm, self.layers = net.blocks[-1], net.norm, nn.ModuleList(layers)
        self.prefix, self.grid = int(net.num_prefix_tokens), tuple(net.patch_embed.grid_size)

    def forward(self, tokens: Tensor) -> Read:
        block, head = self.block, as_linear(self.layers)
        attention, mlp = block.attn, block.mlp
        heads, tall, wide = attention.num_heads, tokens.shape[1], attention.attn_dim
        seen = block.norm1(tokens)
        split = attention.qkv(seen).reshape(-1, tall, 3, heads, attention.head_dim).permute(2, 0, 3, 1, 4)
        query, keys, values = split[0][:, :, :1] * attention.scale, split[1], split[2]
        shares = (query @ keys.transpose(-2, -1)).softmax(-1)
        gathered = shares @ values
        mixed = attention.proj(gathered.transpose(1, 2).reshape(-1, wide))
        middle = tokens[:, 0] + block.ls1(mixed)
        inner = mlp.fc1(block.norm2(middle))
        last = middle + block.ls2(mlp.fc2(functional.gelu(inner)))
        features = normalized(self.norm, last)
        active, logits = through_layers(head, features)

        at_last = gradient_before_norm(self.norm, last, gradient_before_layers(head, active))
        at_inner = ((at_last * _scale(block.ls2)) @ mlp.fc2.weight) * _gelu_slope(inner)[:, None]
        at_middle = at_last + gradient_before_norm(block.norm2, middle, at_inner @ mlp.fc1.weight)
        at_gathered = (at_middle * _scale(block.ls1)) @ attention.proj.weight
        at_gathered = at_gathered.reshape(-1, logits.shape[1], heads, attention.head_dim).transpose(1, 2)
        # Summed over the places: by what they say, and by how much of it is heard.
        of_places = shares[..., self.prefix :]
        at_values = at_gathered * of_places.sum(-1, keepdim=True)
        heard = at_gathered @ (values - gathered)[:, :, self.prefix :].transpose(-2, -1)
        at_keys = (heard * of_places).sum(-1, keepdim=True) * query
        _, of_keys, of_values = attention.qkv.weight.chunk(3)
        weights = sum(
            at.transpose(1, 2).reshape(-1, logits.shape[1], wide) @ weight
            for at, weight in ((at_keys, of_keys), (at_values, of_values))
        )
        places = seen[:, self.prefix :].transpose(1, 2).reshape(-1, seen.shape[2], *self.grid)
        return Read(features, logits, grad_cam(weights / math.prod(self.grid), places))


def _scale(scaling: nn.Module) -> Tensor | float:
    return scaling.gamma if isinstance(scaling, LayerScale) else 1.0


def _gelu_slope(x: Tensor) -> Tensor:
    return (1 + torch.erf(x / math.sqrt(2))) / 2 + x * torch.exp(-x.square() / 2) / math.sqrt(2 * math.pi)
