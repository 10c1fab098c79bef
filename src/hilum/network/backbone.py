"""The registry: the name of a network -> how it is built, what it wants to see, where its weights come from."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import partial

import timm

from hilum.network import multi_scale, plain_cnn, timm_networks, torchvision_networks
from hilum.network.body import Parts


class UnknownNetworkError(ValueError):
    """A name that is neither ours nor timm's; says which names are near."""


class Hub(StrEnum):
    """Where ImageNet weights come from; only `package` needs no network."""

    TORCHVISION = "torchvision"
    TIMM = "timm"
    PACKAGE = "package"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Backbone:
    """What is known of a network before it is built.

    `build` takes (height, width) and the number of classes, and of timm's networks `drop_path` by name.
    `input_size` is (height, width). `mean` and `std` are those of grey levels in [0, 1], one for each channel that the
    network has. `license` is that of the ImageNet weights, or of the network's code where there are none. `dropout`
    stands before the last layer as published. `auxiliary_weight` is the share at which the loss of each auxiliary head
    is added in training. `published` is the name that its ImageNet weights have, where that is another one.
    """

    name: str
    build: Callable[..., Parts]
    input_size: tuple[int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    hub: Hub
    license: str
    dropout: float = 0.0
    auxiliary_weight: float = 0.0
    published: str = ""


MULTI_SCALE = "_multi_scale"  # how the names of networks end that are read at two scales
SMALL = ("zepto", "atto", "femto", "pico", "nano", "tiny", "small")  # as the names of networks say it, smallest first
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
# EfficientNet-Lite was trained on (x * 255 - 127) / 128.
LITE_MEAN, LITE_STD = (127 / 255,) * 3, (128 / 255,) * 3


def torchvision_backbone(name: str, build: Callable[[str, tuple[int, int], int], Parts]) -> Backbone:
    """A network of torchvision, as it is registered."""
    hub = Hub.NONE if name == "resnet50_v1" else Hub.TORCHVISION
    return Backbone(name, partial(build, name), (224, 224), IMAGENET_MEAN, IMAGENET_STD, hub, "BSD-3-Clause")


def multi_scale_backbone(name: str) -> Backbone:
    """A ResNet read at two scales, whose body has the weights of that ResNet."""
    plain = torchvision_backbone(name, multi_scale.multi_scale_resnet)
    return replace(plain, name=f"{name}{MULTI_SCALE}", input_size=(512, 512), published=name)


def google_backbone(
    name: str, build: Callable[[str, tuple[int, int], int], Parts], side: int, dropout: float, auxiliary_weight: float
) -> Backbone:
    """GoogLeNet or Inception v3, whose auxiliary heads count a share of the loss."""
    # These weights want [-1, 1]. torchvision turns an image normalized ImageNet's way back into that on every forward;
    # here it is normalized so at once.
    half, size = (0.5, 0.5, 0.5), (side, side)
    built = partial(build, name)
    return Backbone(name, built, size, half, half, Hub.TORCHVISION, "BSD-3-Clause", dropout, auxiliary_weight)


def lite_backbone(name: str, side: int) -> Backbone:
    """An EfficientNet-Lite, with weights from an ordinary package."""
    build = partial(timm_networks.efficientnet_lite, name)
    return Backbone(name, build, (side, side), LITE_MEAN, LITE_STD, Hub.PACKAGE, "Apache-2.0")


def plain_backbone(name: str, build: Callable[[tuple[int, int], int], Parts], channels: int) -> Backbone:
    """A small network of the three-class system, which has no published weights."""
    return Backbone(name, build, (256, 300), (0.0,) * channels, (1.0,) * channels, Hub.NONE, "Apache-2.0")


BACKBONES = {
    entry.name: entry
    for entry in (
        lite_backbone("efficientnet_lite0", 224),
        lite_backbone("efficientnet_lite1", 240),
        lite_backbone("efficientnet_lite2", 260),
        torchvision_backbone("alexnet", torchvision_networks.alexnet),
        *(torchvision_backbone(f"vgg{depth}", torchvision_networks.vgg) for depth in (11, 13, 16, 19)),
        *(torchvision_backbone(f"resnet{depth}", torchvision_networks.resnet) for depth in (18, 34, 50, 101, 152)),
        torchvision_backbone("resnet50_v1", torchvision_networks.resnet50_v1),
        *(multi_scale_backbone(name) for name in ("resnet50", "resnet50_v1", "resnet101")),
        # The share of an auxiliary loss: the paper's 0.3 for GoogLeNet, PyTorch's 0.4 for Inception v3.
        google_backbone("googlenet", torchvision_networks.googlenet, 224, 0.2, 0.3),
        google_backbone("inception_v3", torchvision_networks.inception_v3, 299, 0.5, 0.4),
        plain_backbone("small_cnn1", plain_cnn.small_cnn1, 3),
        plain_backbone("small_cnn2", plain_cnn.small_cnn2, 1),
    )
}


def find_backbone(name: str) -> Backbone:
    """The network of this name: ours, or else timm's; `timm/NAME` is timm's even where we have one of that name."""
    if name in BACKBONES:
        return BACKBONES[name]
    own = name.removeprefix("timm/")
    if own not in timm.list_models() and own not in timm.list_models(include_tags=True):
        near = nearest_names(own.lower())
        hint = f"the nearest names are {', '.join(near)}" if near else "any name of timm's will do"
        raise UnknownNetworkError(f"no network is called {name}; {hint}; hilum's own are {', '.join(BACKBONES)}")
    config = timm_networks.published(own)
    _, height, width = config.input_size
    return Backbone(
        f"timm/{own}",
        partial(timm_networks.any_network, own),
        (height, width),
        tuple(config.mean),
        tuple(config.std),
        Hub.TIMM if config.has_weights else Hub.NONE,
        config.license or "unknown",
    )


def nearest_names(word: str) -> list[str]:
    """What may have been meant: names that begin so, the smallest networks first; else names that are spelt alike."""
    known = [*BACKBONES, *timm.list_models()]
    family = [name for name in known if name.startswith(word)]

    def smallness(name: str) -> tuple[bool, int, int, str]:
        size = next((place for place, size in enumerate(SMALL) if size in name.split("_")), len(SMALL))
        return name not in BACKBONES, size, len(name), name

    if family:
        return sorted(dict.fromkeys(family), key=smallness)[:4]
    return difflib.get_close_matches(word, sorted({*known, *timm.list_models(include_tags=True)}), n=4, cutoff=0.5)
