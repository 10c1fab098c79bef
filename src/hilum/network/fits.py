"""Whether a network takes films of a size, and gives maps to say where on: tried on shapes alone."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from timm.layers.drop import DropPath

from hilum.network import timm_networks
from hilum.network.backbone import find_backbone
from hilum.network.heads.lungs import STRIDES as LUNG_STRIDES
from hilum.network.heads.opacity import STRIDES as OPACITY_STRIDES
from hilum.network.network import LARGEST_STRIDE, Heads

# What torch and timm raise on sizes that do not go: a kernel larger than the map, a fixed number of patches.
MISFITS = (RuntimeError, AssertionError, ValueError, IndexError)


class UnfitNetworkError(ValueError):
    """A network that cannot be trained so; one line with what to do."""


def check_fits(name: str, size: tuple[int, int], heads: Heads = Heads()) -> None:  # noqa: B008, it is immutable
    """Raises UnfitNetworkError where the network cannot take films of this height and width, or feed these heads."""
    if heads.boxes is None and not heads.opacity and heads.lungs is None:
        _check_size(name, size)
        return
    strides = {*(OPACITY_STRIDES if heads.opacity else ()), *(LUNG_STRIDES if heads.lungs is not None else ())}
    if heads.boxes is not None:
        if heads.boxes.kind == "queries" and find_spec("transformers") is None:
            raise UnfitNetworkError(
                "detector.kind = queries needs the package transformers: pip install 'hilum[queries]', or take anchors"
            )
        # What is coarser than the network's own maps the head makes itself, so a transformer of one stride will do.
        own = [stride for stride in heads.boxes.strides if stride <= LARGEST_STRIDE]
        coarsest = max(_strides(name, size).intersection(own), default=own[-1])
        strides |= {stride for stride in own if stride <= coarsest}
    if heads.lungs:
        _check_maps(name, (heads.lungs, heads.lungs), {*OPACITY_STRIDES}, "lungs.size")
    _check_maps(name, size, strides, "input.height and input.width")


def _check_size(name: str, size: tuple[int, int]) -> None:
    own = find_backbone(name).input_size
    # A network that does not pass at its own size cannot be tried in this way, and is not judged.
    if (reason := _fault(name, size)) and not _fault(name, own):
        raise UnfitNetworkError(
            f"{name} takes no films of {size[0]} x {size[1]} ({reason}); its own size is {own[0]} x {own[1]}: leave "
            "input.height and input.width out, or set them to that"
        )


def check_drop_path(name: str, size: tuple[int, int]) -> None:
    """Raises UnfitNetworkError where no block of the network can be left out in training."""
    try:
        with torch.device("meta"):
            body, _ = find_backbone(name).build(size, 2, drop_path=0.1)
        drops = any(isinstance(module, DropPath) for module in body.modules())
    except TypeError:  # it does not know the option
        drops = False
    if not drops:
        raise UnfitNetworkError(
            f"{name} has no blocks that could be left out (stochastic depth); leave network.drop_path out, or take "
            "another network of timm's"
        )


def learns_from_one(name: str, size: tuple[int, int]) -> bool:
    """Whether the network can be trained on a film of this size alone, if it can be trained on two."""
    return not _fault(name, size, 1) or bool(_fault(name, size))


@cache
def _fault(name: str, size: tuple[int, int], films: int = 2) -> str:
    """What is wrong when the network is trained on films of this size; empty if nothing is."""
    backbone = find_backbone(name)
    try:
        with torch.device("meta"), torch.no_grad():
            body, auxiliary = backbone.build(size, 2)
            maps, taps = body.maps_and_taps(torch.empty(films, len(backbone.mean), *size))
            body.pool(maps)
            for head, map_ in zip(auxiliary.values(), taps, strict=False):
                head(map_)
    except MISFITS as error:
        return str(error).strip().partition("\n")[0] or type(error).__name__
    return ""


def _check_maps(name: str, size: tuple[int, int], strides: set[int], keys: str) -> None:
    if any(side % LARGEST_STRIDE for side in size):
        raise UnfitNetworkError(
            f"{size[0]} x {size[1]}: sides of films on which it is to say where are multiples of {LARGEST_STRIDE}; "
            f"change {keys}"
        )
    if not strides <= _strides(name, size):
        listed = ", ".join(map(str, sorted(strides)))
        raise UnfitNetworkError(
            f"{name} gives no maps of stride {listed} on films of {size[0]} x {size[1]} to say where on; take another "
            "of timm's: a convolutional one, as efficientnet_lite0 or timm/resnet50, or a transformer of several "
            "strides, as swin_tiny_patch4_window7_224"
        )


@cache
def _strides(name: str, size: tuple[int, int]) -> set[int]:
    """Those of which timm's network gives maps (films, channels, rows, columns) on films of this size."""
    own = timm_networks.timm_name(find_backbone(name).name)
    if own is None:
        return set()
    try:
        with torch.device("meta"), torch.no_grad():
            net = timm_networks.with_maps(own, size)
            maps = net(torch.empty(2, 3, *size))
    except MISFITS:
        return set()
    kinds = zip(net.feature_info.reduction(), net.feature_info.channels(), maps, strict=True)
    return {
        stride for stride, channels, map_ in kinds if map_.shape[1:] == (channels, size[0] // stride, size[1] // stride)
    }
