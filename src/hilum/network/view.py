"""A look at a film: a body that gives maps, and a head that makes one logit a class of them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from hilum.network.backbone import Backbone
from hilum.network.body import Body, Parts
from hilum.network.freezing import Freezable
from hilum.network.heads.opacity import STRIDES, OpacityHead

HIDDEN = 256  # units of the heads that have two layers
Head = Literal["linear", "mlp", "two_linear"]


class Looked(NamedTuple):
    """What a view says of a batch."""

    film: Tensor  # (films, classes): logits
    opacity: Tensor | None  # (films, 1, rows, columns): logits


class Normalization(nn.Module):
    """Grey levels in [0, 1] as the network was trained on them, one channel repeated as often as it has channels.

    Repeating is a view, so the batch is stored and moved as one channel. An RGB batch passes as it is.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, mean: tuple[float, ...], std: tuple[float, ...]) -> None:
        super().__init__()
        # Known by the name of the network, so not part of its weights.
        self.register_buffer("mean", torch.tensor(mean).reshape(-1, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).reshape(-1, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        return (x.expand(-1, len(self.mean), -1, -1) - self.mean) / self.std


class View(Freezable):
    """`body` gives maps, `head` logits from their average. Most networks have one view, which is of the whole film.

    With an `mlp` head the logits are log-probabilities, as published: cross-entropy and softmax take them for what they
    are, since both leave log-probabilities unchanged.
    """

    def __init__(
        self, backbone: Backbone, parts: Parts, head: nn.Module, classes: int, input_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.backbone, self.classes, self.input_size = backbone, classes, input_size
        self.normalization: nn.Module = Normalization(backbone.mean, backbone.std)
        self.body: Body = parts.body
        self.head: nn.Module = head
        self.auxiliary = nn.ModuleDict(parts.auxiliary)
        self.opacity: OpacityHead | None = None

    def forward(self, x: Tensor) -> Tensor:
        """Logits (films, classes) of films (films, 1, height, width) in [0, 1]."""
        logits: Tensor = self.head(self.body(self.normalization(x)))
        return logits

    def maps_and_taps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last map of the body, and those that other heads read."""
        return self.body.maps_and_taps(self.normalization(x))

    def look(self, x: Tensor) -> Looked:
        """Logits of the classes, and of every place where the view has a head for them."""
        maps, taps = self.maps_and_taps(x)
        opacity = self.opacity(*self.body.select(taps, STRIDES)) if self.opacity is not None else None
        return Looked(self.head(self.body.pool(maps)), opacity)

    def auxiliary_logits(self, taps: list[Tensor]) -> list[Tensor]:
        """Those of the heads that read the body midway while it is trained, of which most networks have none."""
        heads = self.auxiliary.values()
        return [head(map_) for head, map_ in zip(heads, taps, strict=True)] if len(heads) else []

    def features(self, x: Tensor) -> Tensor:
        """The last feature map (films, features, height, width): `head` takes its average over the places."""
        if not self.body.averaged:
            raise ValueError(f"{self.backbone.name} does not end in the average of a feature map")
        return self.body.maps_and_taps(self.normalization(x))[0]


def create_head(head: Head, features: int, classes: int, dropout: float) -> nn.Module:
    """A new head: `linear`, `mlp`, or `two_linear`, which is two linear layers with nothing between them.

    All leave out that share of what their last layer reads, in training.
    """
    if head not in get_args(Head):
        raise ValueError(f"head {head}: one of {', '.join(get_args(Head))}")
    wide = head != "linear"
    hidden = [("hidden", nn.Linear(features, HIDDEN))] if wide else []
    between = [("relu", nn.ReLU())] if head == "mlp" else []
    last = [("dropout", nn.Dropout(dropout)), ("linear", nn.Linear(HIDDEN if wide else features, classes))]
    end = [("log_softmax", nn.LogSoftmax(dim=1))] if head == "mlp" else []
    return nn.Sequential(OrderedDict([*hidden, *between, *last, *end]))
