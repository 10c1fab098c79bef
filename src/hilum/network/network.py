"""A Network: views of a film, each with a body, and heads that read them. Grey films in, Outputs out."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch
from torch import Tensor, nn

from hilum.network import timm_networks
from hilum.network.backbone import Backbone, UnknownNetworkError, find_backbone
from hilum.network.body import Parts
from hilum.network.box_head import BoxHead, Candidates
from hilum.network.pyramid import Pyramid
from hilum.network.view import Head, View, create_head
from hilum.network.weights import WeightsError, fit_weights, imagenet_weights, read_weights

LARGEST_STRIDE = 32  # of a network's own maps; what lies above in a pyramid is made from the last of them


class Outputs(NamedTuple):
    """What a network says of a batch; None is what it has no head for.

    `auxiliary` are logits of heads midway in the body, which only training asks for; the loss of each counts
    `auxiliary_weight` of the backbone.
    """

    film: Tensor  # (films, classes): logits of the film as a whole
    boxes: Candidates | None = None
    auxiliary: tuple[Tensor, ...] = ()


class Network(nn.Module):
    """Made by `create_network`. `origin` says in words where the weights came from."""

    def __init__(self, film: View, boxes: BoxHead | None = None) -> None:
        super().__init__()
        self.film, self.boxes = film, boxes
        self.origin = "random"

    @property
    def backbone(self) -> Backbone:
        return self.film.backbone

    @property
    def classes(self) -> int:
        return self.film.classes

    @property
    def input_size(self) -> tuple[int, int]:
        return self.film.input_size

    def forward(self, x: Tensor) -> Outputs:
        """Of films (films, 1, height, width) in [0, 1], of the input's size."""
        maps, taps = self.film.maps_and_taps(x)
        return Outputs(self.film.logits(maps), self.boxes(taps) if self.boxes is not None else None)

    def training_outputs(self, x: Tensor) -> Outputs:
        """The same with the auxiliary heads' logits."""
        maps, taps = self.film.maps_and_taps(x)
        boxes = self.boxes(taps) if self.boxes is not None else None
        return Outputs(self.film.logits(maps), boxes, tuple(self.film.auxiliary_logits(taps)))

    def set_body_trainable(self, trainable: bool, *, moving_statistics: bool = False) -> None:
        """Freezes the body of the view, or sets it free; see `Freezable`."""
        self.film.set_body_trainable(trainable, moving_statistics=moving_statistics)

    def head_parameters(self) -> list[nn.Parameter]:
        """All that is new: the heads."""
        own = {id(parameter) for parameter in self.film.body.parameters()}
        return [parameter for parameter in self.parameters() if id(parameter) not in own]

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Every parameter once, grouped from the first layers to the heads, for learning rates that differ by depth."""
        return [*self.film.body.layer_groups(), self.head_parameters()]


def create_network(
    name: str,
    classes: int,
    weights: str | Path = "imagenet",
    *,
    head: Head = "linear",
    dropout: float | None = None,
    input_size: tuple[int, int] | None = None,
    boxes: Pyramid | None = None,
    seed: int | None = None,
) -> Network:
    """The network called `name` for this many classes; with `boxes` it also says where.

    `weights` are "imagenet", "none" or a file: of the published network, or of a Network; what is the same there is
    taken over, else it is new. `dropout` stands before the last layer, None means as published. `seed` makes the random
    start repeatable and leaves torch's generator as it was.
    """
    backbone = find_backbone(name)
    size = input_size or backbone.input_size
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            # Not torch.manual_seed, which reaches the GPUs' generators too.
            torch.default_generator.manual_seed(seed)
        parts = backbone.build(size, classes) if boxes is None else _maps_for_boxes(backbone, boxes, size)
        box_head = BoxHead(boxes, parts.body.tapped_channels, size) if boxes is not None else None
        if dropout is None:
            dropout = backbone.dropout if head == "linear" else 0.0
        new_head = create_head(head, parts.body.width, classes, dropout)
    network = Network(View(backbone, parts, new_head, classes, size), box_head)
    if weights != "none":
        load_weights(network, weights)
    return network


def _maps_for_boxes(backbone: Backbone, pyramid: Pyramid, size: tuple[int, int]) -> Parts:
    own = timm_networks.timm_name(backbone.name)
    if own is None:
        raise UnknownNetworkError(
            f"{backbone.name} gives no feature maps to find boxes on; take one of timm's, as timm/resnet50"
        )
    if any(side % LARGEST_STRIDE for side in size):
        raise ValueError(f"a detector's input of {size[0]} x {size[1]}: sides are multiples of {LARGEST_STRIDE}")
    return timm_networks.feature_maps(own, pyramid.first_stride, min(pyramid.strides[-1], LARGEST_STRIDE))


def load_weights(network: Network, weights: str | Path) -> None:
    """Fills a network with "imagenet" or a file's weights, and says in its `origin` what was taken and what is new."""
    view, backbone = network.film, network.backbone
    if weights == "imagenet":
        source = f"ImageNet ({backbone.hub}, {backbone.license})"
        given = imagenet_weights(backbone, network.input_size)
    else:
        source, given = Path(weights).name, read_weights(Path(weights))
    of_view = {name.removeprefix("film."): tensor for name, tensor in given.items() if name.startswith("film.")}
    try:
        fitting = fit_weights(of_view or given, view.state_dict(), view.body)
    except WeightsError as error:
        raise WeightsError(f"{weights} does not fit {backbone.name}: {error}") from None
    view.load_state_dict(fitting, strict=False)
    new = [] if any(name.startswith("head.") for name in fitting) else ["head"]
    for part, module in network.named_children():
        if module is not view and not _fill(module, part, given):
            new.append(part)
    network.origin = ", new ".join([source, " and ".join(new)]) if new else source


def _fill(module: nn.Module, part: str, given: dict[str, Tensor]) -> bool:
    """Whether a whole part of a network stood among these weights, and was taken over."""
    own = module.state_dict()
    there = {name: given.get(f"{part}.{name}") for name in own}
    fitting = {name: tensor for name, tensor in there.items() if tensor is not None and tensor.shape == own[name].shape}
    if fitting.keys() != own.keys():
        return False
    module.load_state_dict(fitting)
    return True
