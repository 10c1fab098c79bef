"""A network with a head for our classes: grey films in, one logit a class out."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn

from hilum.network.backbone import Backbone, find_backbone
from hilum.network.body import Body, Parts
from hilum.network.freezing import Freezable
from hilum.network.weights import WeightsError, fit_weights, imagenet_weights, read_weights

Head = Literal["linear", "mlp"]


class TrainingLogits(NamedTuple):
    """The logits, and those of each auxiliary head; the loss of each of these counts `auxiliary_weight`."""

    logits: Tensor
    auxiliary: list[Tensor]


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


class Classifier(Freezable):
    """`body` gives features, `head` logits from them. Made by `create_classifier`.

    `origin` says in words where the weights came from. With an `mlp` head the logits are log-probabilities, as
    published: cross-entropy and softmax take them for what they are, since both leave log-probabilities unchanged.
    """

    def __init__(
        self, backbone: Backbone, parts: Parts, head: nn.Module, classes: int, input_size: tuple[int, int]
    ) -> None:
        super().__init__()
        self.backbone, self.classes, self.input_size = backbone, classes, input_size
        self.origin = "random"
        self.normalization: nn.Module = Normalization(backbone.mean, backbone.std)
        self.body: Body = parts.body
        self.head = head
        self.auxiliary = nn.ModuleDict(parts.auxiliary)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (films, classes) of films (films, 1, height, width) in [0, 1]."""
        logits: Tensor = self.head(self.body(self.normalization(x)))
        return logits

    def training_outputs(self, x: Tensor) -> TrainingLogits:
        """The same with the auxiliary heads' logits, of which most networks have none."""
        maps, tapped = self.body.maps_and_taps(self.normalization(x))
        auxiliary = [head(map_) for head, map_ in zip(self.auxiliary.values(), tapped, strict=True)]
        return TrainingLogits(self.head(self.body.pool(maps)), auxiliary)

    def features(self, x: Tensor) -> Tensor:
        """The last feature map (films, features, height, width): `head` takes its average over the places."""
        if not self.body.averaged:
            raise ValueError(f"{self.backbone.name} does not end in the average of a feature map")
        return self.body.maps_and_taps(self.normalization(x))[0]

    def body_parameters(self) -> Iterator[nn.Parameter]:
        return self.body.parameters()

    def head_parameters(self) -> Iterator[nn.Parameter]:
        """Those of the head, and of the auxiliary heads, which are as new as it is."""
        yield from self.head.parameters()
        yield from self.auxiliary.parameters()

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """Every parameter once, grouped from the first layers to the head, for learning rates that differ by depth."""
        return [*self.body.layer_groups(), list(self.head_parameters())]


def create_head(head: Head, features: int, classes: int, dropout: float) -> nn.Module:
    if head == "mlp":
        hidden = [("hidden", nn.Linear(features, 256)), ("relu", nn.ReLU()), ("linear", nn.Linear(256, classes))]
        return nn.Sequential(OrderedDict([*hidden, ("log_softmax", nn.LogSoftmax(dim=1))]))
    return nn.Sequential(OrderedDict([("dropout", nn.Dropout(dropout)), ("linear", nn.Linear(features, classes))]))


def create_classifier(
    name: str,
    classes: int,
    weights: str | Path = "imagenet",
    head: Head = "linear",
    dropout: float | None = None,
    input_size: tuple[int, int] | None = None,
    seed: int | None = None,
) -> Classifier:
    """The network called `name` for this many classes.

    `weights` are "imagenet", "none" or a file: of the published network, or of a Classifier; the head is taken over
    where it is the same, else it is new. `dropout` stands before a linear head, None means as published. `seed` makes
    the random start repeatable and leaves torch's generator as it was.
    """
    if head not in get_args(Head):
        raise ValueError(f"head {head}: one of {', '.join(get_args(Head))}")
    if head == "mlp" and dropout:
        raise ValueError("dropout is for the linear head; the mlp head is as published, without")
    backbone = find_backbone(name)
    size = input_size or backbone.input_size
    with torch.random.fork_rng(devices=[], enabled=seed is not None):
        if seed is not None:
            # Not torch.manual_seed, which reaches the GPUs' generators too.
            torch.default_generator.manual_seed(seed)
        parts = backbone.build(size, classes)
        new_head = create_head(head, parts.body.width, classes, backbone.dropout if dropout is None else dropout)
    classifier = Classifier(backbone, parts, new_head, classes, size)
    if weights != "none":
        load_weights(classifier, weights)
    return classifier


def load_weights(classifier: Classifier, weights: str | Path) -> None:
    """Fills a classifier with "imagenet" or a file's weights, and says in its `origin` what was taken."""
    backbone, own = classifier.backbone, classifier.state_dict()
    if weights == "imagenet":
        source, given = (
            f"ImageNet ({backbone.hub}, {backbone.license})",
            imagenet_weights(backbone, classifier.input_size),
        )
    else:
        source, given = Path(weights).name, read_weights(Path(weights))
    try:
        fitting = fit_weights(given, own, classifier.body)
    except WeightsError as error:
        raise WeightsError(f"{weights} does not fit {backbone.name}: {error}") from None
    classifier.load_state_dict(fitting, strict=False)
    has_head = any(name.startswith("head.") for name in fitting)
    classifier.origin = source if has_head else f"{source}, new head"
