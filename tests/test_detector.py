"""Detectors: their anchors, their boxes, their weights."""

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
from hilum.network.classifier import create_classifier
from hilum.network.detector import create_detector, decode, draw_anchors, encode
from hilum.network.pyramid import Pyramid
from hilum.network.weights import WeightsError

SMALL = Pyramid(width=32, depth=1)


def test_a_detector_says_something_for_every_anchor_and_film() -> None:
    detector = create_detector("resnet18", 3, "none", SMALL, (64, 96), seed=1)
    found = detector(torch.rand(2, 1, 64, 96))
    places = 4 * 6 + 2 * 3 + 1 * 2
    assert detector.anchors.shape == (9 * places, 4)
    assert found.scores.shape == (2, 9 * places)
    assert found.offsets.shape == (2, 9 * places, 4)
    assert found.image.shape == (2, 3)


def test_before_training_opacities_are_taken_for_rare() -> None:
    detector = create_detector("resnet18", 3, "none", SMALL, (64, 64), seed=1).eval()
    with torch.no_grad():
        scores = detector(torch.rand(1, 1, 64, 64)).scores
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
    detector = create_detector(
        "resnet18", 2, "none", Pyramid(width=32, depth=1, levels=1, norm="none"), (128, 128), seed=1
    )
    detector.eval()
    blank, marked = torch.zeros(1, 1, 128, 128), torch.zeros(1, 1, 128, 128)
    marked[..., 96:112, 16:32] = 1
    with torch.no_grad():
        change = (detector(marked).scores - detector(blank).scores)[0].abs()
    centers = (detector.anchors[:, :2] + detector.anchors[:, 2:]) / 2
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


def test_weights_of_the_network_alone_fill_the_body_and_those_of_a_detector_all(tmp_path: Path) -> None:
    classifier = create_classifier("resnet18", 2, "none", seed=3)
    alone = {name.removeprefix("body."): tensor for name, tensor in classifier.state_dict().items() if "body." in name}
    torch.save(alone, tmp_path / "body.pth")
    detector = create_detector("resnet18", 2, tmp_path / "body.pth", SMALL, (64, 64), seed=1)
    assert torch.equal(detector.body.state_dict()["layer3.0.conv1.weight"], alone["layer3.0.conv1.weight"])
    assert "new pyramid" in detector.origin
    torch.save(detector.state_dict(), tmp_path / "whole.pth")
    again = create_detector("resnet18", 2, tmp_path / "whole.pth", SMALL, (64, 64), seed=2)
    for name, tensor in again.state_dict().items():
        assert torch.equal(tensor, detector.state_dict()[name]), name
    with pytest.raises(WeightsError, match="missing"):
        create_detector("resnet34", 2, tmp_path / "body.pth", SMALL, (64, 64))


def test_efficientnet_lite_starts_from_its_imagenet_weights() -> None:
    detector = create_detector("efficientnet_lite0", 2, "imagenet", SMALL, (64, 64), seed=1)
    own = create_classifier("efficientnet_lite0", 2).body.state_dict()
    assert torch.equal(detector.body.state_dict()["blocks.5.0.conv_pw.weight"], own["blocks.5.0.conv_pw.weight"])


def test_networks_without_maps_and_odd_sizes_are_refused() -> None:
    with pytest.raises(UnknownNetworkError, match="no feature maps"):
        create_detector("vgg11", 2, "none", SMALL, (64, 64))
    with pytest.raises(ValueError, match="multiples of 32"):
        create_detector("resnet18", 2, "none", SMALL, (70, 64))
    with pytest.raises(ValueError, match="first_stride"):
        Pyramid(first_stride=12)
