"""Whether a network fits films and boxes is known before anything is trained; what is refused would have failed."""

from __future__ import annotations

from contextlib import nullcontext

import pytest
import torch

from hilum.network.fits import UnfitNetworkError, check_fits, learns_from_one
from hilum.network.heads.pyramid import Pyramid
from hilum.network.network import Heads, create_network
from hilum.training.recipe import RecipeError, load_recipe

PUBLISHED = ("alexnet", *(f"vgg{depth}" for depth in (11, 13, 16, 19)), "googlenet", "inception_v3")
RESNETS = tuple(f"resnet{depth}" for depth in (18, 34, 50, 101, 152))


@pytest.mark.parametrize("name", [*PUBLISHED, *RESNETS])
def test_every_published_network_is_trained_at_its_own_size(name: str) -> None:
    side = 299 if name == "inception_v3" else 224
    assert load_recipe("transfer-published", [f"network.name={name}"]).input.size == (side, side)


@pytest.mark.parametrize(
    ("name", "side"),
    [("inception_v3", 224), ("alexnet", 32), ("vgg11", 24), ("timm/levit_128", 250), ("maxvit_tiny_rw_224", 250)],
)
def test_a_network_that_cannot_take_films_of_a_size_is_refused_in_one_line(name: str, side: int) -> None:
    with pytest.raises(
        UnfitNetworkError, match=rf"{name} takes no films of {side} x {side} \(.*its own size is "
    ) as told:
        check_fits(name, (side, side))
    assert "\n" not in str(told.value)
    with pytest.raises((RuntimeError, AssertionError)), torch.device("meta"):
        create_network(name, 2, "none", input_size=(side, side)).training_outputs(torch.empty(2, 1, side, side))
    settings = [f"network.name={name}", f"input.height={side}", f"input.width={side}"]
    with pytest.raises(RecipeError, match=f"network.name: {name} takes no films"):
        load_recipe("transfer-published", settings)


@pytest.mark.parametrize(
    "name",
    [
        "vit_tiny_patch16_224",  # one stride
        "swin_tiny_patch4_window7_224",  # a size of its own
        "swinv2_tiny_window8_256",  # channels last
        "maxvit_tiny_rw_224",  # windows that must divide the map
        "xcit_nano_12_p8_224",
        "levit_128",
        "mambaout_femto",
        "vgg11",  # torchvision's
    ],
)
def test_networks_without_maps_for_boxes_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(RecipeError, match=f"network.name: {name} gives no maps of stride 16, 32") as told:
        load_recipe("boxes", [f"network.name={name}"])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize("name", ["resnet18", "efficientnet_lite0", "convnext_atto", "pvt_v2_b0"])
def test_networks_with_maps_for_boxes_pass_and_give_them(name: str) -> None:
    pyramid = Pyramid(width=16, depth=1, first_stride=8)
    check_fits(name, (64, 96), Heads(pyramid))
    network = create_network(name, 2, "none", heads=Heads(pyramid), input_size=(64, 96), seed=1)
    boxes = network(torch.rand(1, 1, 64, 96)).boxes
    assert boxes is not None and network.boxes is not None
    assert boxes.scores.shape[1] == len(network.boxes.anchors)


def test_networks_that_look_twice_need_maps_of_both_looks() -> None:
    check_fits("resnet18", (64, 64), Heads(opacity=True, lungs=64))
    with pytest.raises(UnfitNetworkError, match="no maps of stride 16, 32 on films of 64 x 64"):
        check_fits("vit_tiny_patch16_224", (224, 224), Heads(opacity=True, lungs=64))
    with pytest.raises(UnfitNetworkError, match="mambaout_femto gives no maps of stride 16, 32 on films of 64 x 64"):
        check_fits("mambaout_femto", (224, 224), Heads(lungs=64))
    with pytest.raises(RecipeError, match=r"170 x 170: .*multiples of 32; change lungs\.size"):
        load_recipe("hilum", ["lungs.size=170"])


def test_films_for_boxes_have_sides_of_whole_maps() -> None:
    with pytest.raises(RecipeError, match=r"250 x 256: .*multiples of 32; change input\.height and input\.width"):
        load_recipe("boxes", ["input.height=250"])


@pytest.mark.parametrize(("name", "alone"), [("inception_v3", False), ("resnet18", True), ("small_cnn1", True)])
def test_a_film_alone_in_its_batch_is_enough_or_not(name: str, alone: bool) -> None:
    """Inception's auxiliary head normalizes a map of a single place over the films of a batch."""
    side = 299 if name == "inception_v3" else 224
    assert learns_from_one(name, (side, side)) == alone
    with torch.device("meta"):
        network = create_network(name, 2, "none", input_size=(side, side))
        with nullcontext() if alone else pytest.raises(ValueError, match="more than 1 value"):
            network.training_outputs(torch.empty(1, 1, side, side))
