"""Whether a network fits films and boxes is known before anything is trained; what is refused would have failed."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from hilum.network import timm_networks
from hilum.network.fits import UnfitNetworkError, check_fits, learns_from_one
from hilum.network.heads.boxes import BoxHead
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
        "vit_small_patch14_reg4_dinov2",  # of stride 14
        "xcit_nano_12_p8_224",  # of stride 8 alone
        "vgg11",  # torchvision's
    ],
)
def test_networks_without_maps_for_boxes_are_refused_in_one_line(name: str) -> None:
    with pytest.raises(RecipeError, match=f"network.name: {name} gives no maps of stride 16, 32") as told:
        load_recipe("boxes", [f"network.name={name}"])
    assert "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("name", "strides"),
    [
        ("resnet18", [8, 16, 32]),
        ("efficientnet_lite0", [8, 16, 32]),
        ("convnext_atto", [8, 16, 32]),
        ("swinv2_cr_tiny_224", [8, 16, 32]),  # a size of its own, channels last
        ("coatnet_nano_rw_224", [8, 16, 32]),  # a window for each map
        ("levit_128s", [16, 32]),
        ("test_vit2", [16]),  # all maps are of one stride
    ],
)
def test_networks_with_maps_for_boxes_pass_and_give_them(name: str, strides: list[int]) -> None:
    pyramid = Pyramid(width=16, depth=1, first_stride=strides[0])  # type: ignore[arg-type]
    check_fits(name, (64, 96), Heads(pyramid))
    network = create_network(name, 2, "none", heads=Heads(pyramid), input_size=(64, 96), seed=1)
    _, maps = network.eval().film.maps_and_taps(torch.rand(1, 1, 64, 96))
    assert network.film.body.strides == strides
    assert [tuple(map_.shape[2:]) for map_ in maps] == [(64 // stride, 96 // stride) for stride in strides]
    boxes = network(torch.rand(1, 1, 64, 96)).boxes
    assert boxes is not None and isinstance(network.boxes, BoxHead)
    assert boxes.scores.shape[1] == len(network.boxes.anchors)


@pytest.mark.parametrize("name", ["test_convnext", "test_vit2"])
def test_published_weights_fit_the_network_that_gives_maps(name: str, tmp_path: Path) -> None:
    whole = timm_networks.create(name, (64, 64))
    save_file(whole.state_dict(), tmp_path / "published.safetensors")
    made = create_network(
        name, 2, tmp_path / "published.safetensors", heads=Heads(Pyramid(width=16, depth=1)), input_size=(64, 64)
    )
    assert made.origin == "published.safetensors, new head and boxes"
    inside = made.film.body.inside
    for key, tensor in made.film.body.state_dict().items():
        torch.testing.assert_close(tensor, whole.state_dict()[key.removeprefix(inside)])


def test_networks_that_look_twice_need_maps_of_both_looks() -> None:
    check_fits("resnet18", (64, 64), Heads(opacity=True, lungs=64))
    with pytest.raises(UnfitNetworkError, match="no maps of stride 16, 32 on films of 64 x 64"):
        check_fits("vit_tiny_patch16_224", (224, 224), Heads(opacity=True, lungs=64))
    with pytest.raises(
        UnfitNetworkError, match="xcit_nano_12_p8_224 gives no maps of stride 16, 32 on films of 64 x 64"
    ):
        check_fits("xcit_nano_12_p8_224", (224, 224), Heads(lungs=64))
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
