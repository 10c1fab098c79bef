"""The networks of timm: any of them by name, and the EfficientNet-Lite family cut into its layers."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from typing import Any

import timm
import torch
from timm.layers.drop import DropPath
from timm.models import PretrainedCfg, group_parameters
from timm.models._features import FeatureGetterNet
from torch import Tensor, nn

from hilum.network.body import Body, Parts, layers_of
from hilum.network.ending import CHANNELS_FIRST, TOKENS, Ending, ending_of

# How timm is asked for maps by a network's own method.
BY_METHOD: dict[str, Any] = {"features_only": True, "feature_cls": "getter"}


class TimmBody(Body):
    """A network that knows itself how it ends and what its groups are."""

    inside = "net."

    def __init__(self, net: Any, last: Sequence[str]) -> None:
        self.ending = ending_of(net)
        averaged = self.ending == Ending(CHANNELS_FIRST)
        super().__init__({"net": net}, net.head_hidden_size, averaged=averaged, last=last)
        # The same module, which torch types as a Tensor or a Module wherever it is asked for one of timm's methods.
        self.net: Any

    def maps_and_taps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last map, as timm's own method gives it; nothing is tapped."""
        return self.net.forward_features(x), []

    def pool(self, maps: Tensor) -> Tensor:
        """The features as timm makes them, whatever the network does after its last map."""
        pooled: Tensor = self.net.forward_head(maps, pre_logits=True)
        return pooled

    @property
    def traced(self) -> bool:
        """By its ending."""
        return self.ending is not None

    def places(self, maps: Tensor) -> Tensor:
        """As its ending lays them out."""
        if self.ending is None:
            return maps
        return self.ending.places(maps, self.net.patch_embed.grid_size if self.ending.layout == TOKENS else (0, 0))

    @property
    def norm(self) -> nn.LayerNorm | None:
        """That of its ending."""
        name = self.ending.norm if self.ending is not None else None
        return None if name is None else self.net.get_submodule(name)

    def fitted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Position embeddings and what else depends on the size of a film."""
        return refitted(self.net, weights, f"body.{self.inside}")

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """The groups that timm knows for networks of this kind."""
        if not hasattr(self.net, "group_matcher"):
            raise ValueError(f"timm does not say how the layers of {type(self.net).__name__} are grouped")
        groups = group_parameters(self.net, self.net.group_matcher(coarse=True))
        return [[self.net.get_parameter(name) for name in groups[group]] for group in sorted(groups)]


def published(name: str) -> PretrainedCfg:
    """What timm publishes of the network of this name."""
    config = timm.get_pretrained_cfg(name)
    # None is for networks that others registered without one; all that timm lists have theirs.
    assert config is not None
    return config


def create(
    name: str, size: tuple[int, int], *, pretrained: bool = False, drop_path: float = 0.0, **options: Any
) -> nn.Module:
    """timm's network of this name for images of this size; `drop_path` is its stochastic depth."""
    # Transformers fix the number of their patches when they are built; other networks do not know this option.
    if published(name).fixed_input_size:
        options["img_size"] = size
    if drop_path:  # which not every network knows
        options["drop_path_rate"] = drop_path
    net: nn.Module = timm.create_model(name, pretrained=pretrained, **options)
    if not drop_path:  # some, as Swin, leave blocks out unasked
        for module in net.modules():
            if isinstance(module, DropPath):
                module.drop_prob = 0.0
    return net


def classifiers(name: str) -> list[str]:
    """What the network's authors call its last layers, of which it has one, or one a token that decides."""
    classifier = published(name).classifier or ()
    return [classifier] if isinstance(classifier, str) else list(classifier)


def any_network(name: str, size: tuple[int, int], classes: int, *, drop_path: float = 0.0) -> Parts:
    """Any of timm's networks without its last layer."""
    net = create(name, size, num_classes=0, drop_path=drop_path)
    last = classifiers(name)
    # Some normalize once more before the last layer, in a module that goes with it.
    around = {name.rpartition(".")[0] for name in last} - {""}
    last += [module for module in sorted(around) if not any(key.startswith(f"{module}.") for key in net.state_dict())]
    return Parts(TimmBody(net, last), {})


def timm_name(name: str) -> str | None:
    """What timm calls the network that hilum calls so, where timm's has the same layers under the same names."""
    if name.startswith("timm/"):
        return name.removeprefix("timm/")
    if name.startswith("efficientnet_lite"):
        return f"tf_{name}"
    return name if name in ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152") else None


class MapsBody(Body):
    """A network of timm without its end: its last map of each stride from the first to the last of these.

    All these maps are taps, which heads that say where read; the last is what the film's head averages.
    """

    def __init__(self, net: Any, last: Sequence[str]) -> None:
        channels = net.feature_info.channels()
        super().__init__({"net": net}, channels[-1], last=last)
        self.inside = "net.model." if isinstance(net, FeatureGetterNet) else "net."
        self.channels, self.strides = channels, net.feature_info.reduction()
        self.net: Any

    def maps_and_taps(self, x: Tensor) -> tuple[Tensor, list[Tensor]]:
        """The last map, and all of them, finest first."""
        maps = self.net(x)
        return maps[-1], maps

    def fitted(self, weights: dict[str, Tensor]) -> dict[str, Tensor]:
        """Position embeddings and what else depends on the size of a film."""
        net = self.net.model if isinstance(self.net, FeatureGetterNet) else self.net
        return refitted(net, weights, f"body.{self.inside}")

    def layer_groups(self) -> list[list[nn.Parameter]]:
        """All parameters as one group."""
        return [list(self.parameters())]


def refitted(net: nn.Module, weights: dict[str, Tensor], inside: str) -> dict[str, Tensor]:
    """Weights of which those that begin with `inside` are of such a network for another size of film.

    timm knows kind by kind how position embeddings and tables of relative positions are resized, and what the names of
    other publishers' weights are in its own networks.
    """
    own = net.state_dict()
    given = {name.removeprefix(inside): tensor for name, tensor in weights.items() if name.startswith(inside)}
    adapt = getattr(sys.modules[type(net).__module__], "checkpoint_filter_fn", None)
    same = given.keys() == own.keys() and all(given[name].shape == own[name].shape for name in own)
    if adapt is None or same:
        return weights
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of how fast it resizes
            adapted = adapt(dict(given), net)
    except (RuntimeError, ValueError, KeyError):  # of another network, or of films that were not square
        return weights
    others = {name: tensor for name, tensor in weights.items() if not name.startswith(inside)}
    return others | {inside + name: tensor for name, tensor in adapted.items()}


def with_maps(name: str, size: tuple[int, int]) -> Any:
    """timm's network of this name for films of this size, giving all maps that it has, each laid out as a picture."""
    net: Any = create(name, size, features_only=True)
    with torch.device("meta"):  # only its names are wanted
        whole = create(name, size)
    # Most transformers lose their authors' names here, and some their layout, unless their own method gives the maps.
    return net if {*net.state_dict()} <= {*whole.state_dict()} else create(name, size, **BY_METHOD)


def feature_maps(name: str, strides: tuple[int, int], size: tuple[int, int], drop_path: float = 0.0) -> Parts:
    """timm's network of this name as a MapsBody, from the first to the last of these strides."""
    net = with_maps(name, size)
    # The last map of each stride: transformers of one stride give several.
    numbers = {stride: number for number, stride in enumerate(net.feature_info.reduction())}
    wanted = [number for stride, number in numbers.items() if strides[0] <= stride <= strides[1]]
    way = BY_METHOD if isinstance(net, FeatureGetterNet) else {"features_only": True}
    net = create(name, size, out_indices=wanted, **way, drop_path=drop_path)
    with torch.device("meta"):
        whole: Any = create(name, size)
    held = {key.removeprefix("model.") for key in net.state_dict()}
    ends = (_left_out(key, held) for key in whole.state_dict() if key not in held)
    return Parts(MapsBody(net, list(dict.fromkeys([*classifiers(name), *ends]))), {})


def _left_out(key: str, held: set[str]) -> str:
    """The largest module with this parameter of which nothing is held."""
    parts = key.split(".")
    modules = (".".join(parts[:depth]) for depth in range(1, len(parts)))
    return next((module for module in modules if not any(other.startswith(f"{module}.") for other in held)), key)


def efficientnet_lite(name: str, size: tuple[int, int], classes: int, *, drop_path: float = 0.0) -> Parts:
    """An EfficientNet-Lite cut into its layers."""
    # Trained in TensorFlow, which pads an even image by one row at its end only. timm's `tf_` networks do so and give
    # what the published ones give to the last bit; those without it are off by a fifth.
    layers = layers_of(create(f"tf_{name}", size, drop_path=drop_path), "global_pool", "classifier")
    groups = ("blocks.1", "blocks.2", "blocks.3", "blocks.5", "conv_head")
    return Parts(Body(layers, 1280, groups=groups, last=("classifier",)), {})
