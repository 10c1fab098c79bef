"""The graph of a bundle: it says what the network says, and its heatmaps are what their names promise."""

from __future__ import annotations

import runpy
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from conftest import SOAK
from hypothesis import given, settings
from hypothesis import strategies as st
from pytorch_grad_cam import GradCAM
from pytorch_grad_cam.utils.model_targets import ClassifierOutputTarget
from scipy.stats import spearmanr
from torch import Tensor, nn

from hilum.bundle.card import Calibration
from hilum.export.calibrate import apply
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.gate.module import Taps
from hilum.export.graph.graph import Fitted, Graph, Levels
from hilum.export.graph.probability import Probabilities
from hilum.network import Head, Network, View, create_network


class Case(NamedTuple):
    name: str
    size: int
    head: Head
    last_map: str  # the module that gives the last feature map
    kind: str


CASES = [
    Case("efficientnet_lite0", 64, "linear", "body.bn2", "class activation map"),
    Case("efficientnet_lite0", 96, "mlp", "body.bn2", "Grad-CAM"),
    Case("resnet18", 96, "linear", "body.layer4", "class activation map"),
    Case("resnet18", 96, "mlp", "body.layer4", "Grad-CAM"),
    Case("alexnet", 127, "linear", "body.features", "Grad-CAM"),
    Case("vgg11", 96, "linear", "body.features", "Grad-CAM"),
    Case("small_cnn1", 32, "linear", "body.features", "Grad-CAM"),
    Case("small_cnn2", 144, "linear", "body.features", "Grad-CAM"),
    Case("small_cnn2", 144, "mlp", "body.features", "Grad-CAM"),
]


@pytest.fixture(params=CASES, ids=lambda case: f"{case.name}-{case.head}", scope="module")
def made(request: pytest.FixtureRequest) -> tuple[Case, View, Graph]:
    case: Case = request.param
    view = lively(case.name, case.size, case.head)
    return case, view, graph_of(view)


def lively(name: str, size: int, head: Head = "linear") -> View:
    """A random network whose statistics fit films, and whose logits differ between them as a trained one's do."""
    view = create_network(name, 3, "none", head=head, input_size=(size, size), seed=3).film
    torch.manual_seed(3)
    for module in view.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.7, 1.5)
            nn.init.normal_(module.bias, 0.1, 0.2)
            module.momentum = 1.0  # take the next batch's statistics as they are
    shown = films(size, 8).float() / 255
    last = [module for module in view.head.modules() if isinstance(module, nn.Linear)][-1]
    with torch.no_grad():
        view.train()(shown)
        view.eval()
        last.weight.sub_(last.weight.mean(0))  # so that there is evidence for some class
        logits = before_log_softmax(view)(shown)
        last.bias.sub_(logits.mean(0)).div_(logits.std(0).mean())
        last.weight.div_(logits.std(0).mean())
    return view


def graph_of(view: View) -> Graph:
    return Graph(Network(view), Fitted([FilmFit(UNCALIBRATED)], [1]))


def films(size: int, count: int = 3) -> Tensor:
    torch.manual_seed(5)
    coarse = torch.rand(count, 1, 6, 6)
    smooth = nn.functional.interpolate(coarse, (size, size), mode="bicubic").clamp(0, 1)
    return (smooth * 235 + torch.rand(count, 1, size, size) * 20).to(torch.uint8)


def test_the_graph_says_what_the_network_says(made: tuple[Case, View, Graph]) -> None:
    case, view, graph = made
    shown = films(case.size)
    with torch.no_grad():
        said = dict(zip(graph.outputs, graph(shown), strict=True))
        expected = view(shown.float() / 255).softmax(1)
        features = view.body(view.normalization(shown.float() / 255))
    assert graph.heatmap == case.kind
    assert expected.std(0).max() > 1e-4, "the network must tell the films apart"
    torch.testing.assert_close(said["probabilities"], expected, atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(said["features"], features, atol=1e-4, rtol=1e-3)


def test_heatmaps_are_gradients_times_maps(made: tuple[Case, View, Graph]) -> None:
    """Against PyTorch's own gradients, of the logit before log-softmax."""
    case, view, graph = made
    shown = films(case.size)
    with torch.no_grad():
        said = dict(zip(graph.outputs, graph(shown), strict=True))["heatmaps"]
    kept: list[Tensor] = []
    hook = view.get_submodule(case.last_map).register_forward_hook(lambda module, given, maps: kept.append(maps))
    logits = before_log_softmax(view)((shown.float() / 255).requires_grad_())
    hook.remove()
    for column in range(3):
        (gradient,) = torch.autograd.grad(logits[:, column].sum(), kept[0], retain_graph=True)
        weights = gradient.mean((2, 3), keepdim=True)
        if case.kind == "Grad-CAM":
            expected = (weights * kept[0]).sum(1).relu()
        else:  # the average spreads the gradient evenly, so it is the weight of the layer over the number of places
            expected = (weights * kept[0]).sum(1) * kept[0][0, 0].numel()
        scale = float(expected.detach().abs().max())
        torch.testing.assert_close(said[:, column], expected.detach(), atol=1e-4 * max(scale, 1e-6), rtol=1e-3)


def test_heatmaps_rank_places_like_the_grad_cam_package(made: tuple[Case, View, Graph]) -> None:
    case, view, graph = made
    shown = films(case.size)
    with torch.no_grad():
        said = dict(zip(graph.outputs, graph(shown), strict=True))["heatmaps"]
    layer = view.get_submodule(case.last_map)
    compared = 0
    with GradCAM(before_log_softmax(view), [layer]) as package:
        for column in range(3):
            targets = [ClassifierOutputTarget(column)] * len(shown)
            package(shown.float() / 255, targets)
            maps, gradients = (
                held[0].numpy()
                for held in (package.activations_and_grads.activations, package.activations_and_grads.gradients)
            )
            theirs = package.get_cam_image(shown.float() / 255, layer, targets, maps, gradients)
            for ours, other in zip(said[:, column].relu().numpy(), np.maximum(theirs, 0), strict=True):
                if np.count_nonzero(other) > 1:
                    assert spearmanr(ours.ravel(), other.ravel()).statistic > 0.99
                    compared += 1
    assert compared > 0


def before_log_softmax(view: View) -> nn.Module:
    layers = [layer for layer in view.head.children() if not isinstance(layer, nn.LogSoftmax)]
    return nn.Sequential(view.normalization, view.body, *layers)


def test_a_class_activation_map_averages_to_the_logit() -> None:
    view = lively("resnet18", 64)
    graph = graph_of(view)
    shown = films(64)
    with torch.no_grad():
        said = dict(zip(graph.outputs, graph(shown), strict=True))
        logits = view(shown.float() / 255)
    bias = view.head.linear.bias  # type: ignore[union-attr]
    torch.testing.assert_close(said["heatmaps"].mean((2, 3)) + bias, logits, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize("name", ["timm/mobilenetv3_small_050", "timm/test_vit3"])
def test_a_network_without_a_true_heatmap_has_none(name: str) -> None:
    graph = graph_of(lively(name, 64))
    assert graph.heatmap.startswith("none: ") and name in graph.heatmap
    assert graph.outputs == ["probabilities", "features"]
    with torch.no_grad():
        assert len(graph(films(64))) == 2


def test_grey_levels_are_folded_where_that_changes_nothing() -> None:
    """The second standardizes the weights of its convolutions, so nothing can be folded into them."""
    folded, kept = (graph_of(lively(name, 64)) for name in ("resnet18", "timm/nf_resnet26"))
    assert isinstance(folded.normalization, Levels)
    assert not isinstance(kept.normalization, Levels)


@pytest.mark.parametrize(
    ("name", "size", "taps"),
    [
        ("efficientnet_lite0", 64, ("blocks.2", "blocks.4")),
        ("alexnet", 63, ("features.2", "avgpool")),
        ("timm/mobilenetv3_small_050", 64, ("net.blocks.1",)),
    ],
)
def test_the_gate_in_the_graph_reads_what_it_read_in_the_network(name: str, size: int, taps: tuple[str, ...]) -> None:
    view, shown = lively(name, size), films(size)
    caught = Taps(view.body, taps)
    with torch.no_grad():
        view(shown.float() / 255)
        expected = Averages(taps)(shown.float() / 255, caught.maps)
        caught.remove()
        graph = Graph(Network(view), Fitted([FilmFit(UNCALIBRATED)], [1], None, Averages(taps)))  # type: ignore[arg-type]
        said = graph(shown)[-1]
    assert graph.outputs[-1] == "gate"
    torch.testing.assert_close(said, expected, atol=1e-4, rtol=1e-3)


class Averages(nn.Module):
    """In the place of a gate: what it is given, averaged."""

    def __init__(self, taps: tuple[str, ...]) -> None:
        super().__init__()
        self.taps = taps

    def forward(self, grey: Tensor, maps: list[Tensor]) -> Tensor:
        return torch.cat([grey.mean((2, 3)), *(map_.mean((2, 3)) for map_ in maps)], 1)


numbers = st.floats(-30, 30, width=32)


@st.composite
def calibrated(draw: st.DrawFn) -> tuple[Calibration, np.ndarray, list[int]]:
    classes = draw(st.integers(2, 4))
    positive = sorted(draw(st.sets(st.integers(0, classes - 1), min_size=1, max_size=classes - 1)))
    rows = draw(st.lists(st.lists(numbers, min_size=classes, max_size=classes), min_size=1, max_size=5))
    method = draw(st.sampled_from(["none", "temperature", "platt", "isotonic"]))
    if method == "temperature":
        made = Calibration("temperature", draw(st.floats(0.1, 10)), [], [], {})
    elif method == "platt":
        made = Calibration("platt", 1.0, [draw(st.floats(0.1, 3)), draw(st.floats(-3, 3))], [], {})
    elif method == "isotonic":
        x = sorted(draw(st.sets(st.integers(0, 1000), min_size=2, max_size=8)))
        y = sorted(draw(st.lists(st.floats(0, 1), min_size=len(x), max_size=len(x))))
        made = Calibration("isotonic", 1.0, [value / 1000 for value in x], y, {})
    else:
        made = UNCALIBRATED
    if draw(st.booleans()):
        made = replace(made, slope=draw(st.floats(0.1, 3)), offset=draw(st.floats(-3, 3)))
    return made, np.array(rows), positive


@given(calibrated())
@settings(max_examples=150, deadline=None)
def test_calibration_in_the_graph_is_that_of_the_reference(case: tuple[Calibration, np.ndarray, list[int]]) -> None:
    calibration, logits, positive = case
    module = Probabilities(calibration, logits.shape[1], positive)
    said = module(torch.from_numpy(logits).float()).numpy()
    np.testing.assert_allclose(said, apply(calibration, logits, positive), atol=2e-4)
    np.testing.assert_allclose(said.sum(1), 1, atol=1e-5)


def test_isotonic_knots_next_to_one_are_told_apart() -> None:
    """A sure network has scores that single precision rounds to 1."""
    calibration = Calibration("isotonic", 1.0, [0.5, 1 - 1e-8, 1 - 5e-9, 1.0], [0.3, 0.6, 0.9, 0.95], {})
    logits = np.array([[0.0, 18.0], [0.0, 18.8], [0.0, 19.5], [0.0, 25.0]])
    module = Probabilities(calibration, 2, [1])
    said = module(torch.from_numpy(logits).float()).numpy()
    np.testing.assert_allclose(said, apply(calibration, logits, [1]), atol=1e-3)
    assert len(np.unique(said[:, 1].round(3))) == 4


def shadows(count: int, side: int, seed: int) -> tuple[Any, Any, Any]:
    """Noise, every second film with a smooth bright spot: what `draw` of results/heatmaps.py gives, in milliseconds."""
    random = np.random.default_rng(seed)
    across = np.arange(side)
    levels, boxes = random.integers(40, 90, (count, side, side)).astype(np.float64), []
    for film in range(count):
        y, x = random.uniform(0.25, 0.75, 2) * side
        distance = np.hypot(across[:, None] - y, across - x) / side
        levels[film] += (film % 2) * 150 * np.exp(-((distance / 0.1) ** 2))
        boxes.append(np.array([[x / side - 0.15, y / side - 0.15, 0.3, 0.3]])[: film % 2])
    return levels.astype(np.uint8), np.arange(count) % 2, boxes


@pytest.mark.soak
def test_heatmaps_point_at_opacities_that_the_network_learned() -> None:
    """The pointing game of results/heatmaps.py, small: the place of most evidence lies in the box of an opacity.

    `make soak` plays it on phantoms, `make test` on bright spots, which far fewer films of far fewer pixels teach.
    """
    game = SimpleNamespace(**runpy.run_path(str(Path(__file__).parents[1] / "results" / "heatmaps.py")))
    if SOAK:
        train, test = game.draw(128, 384, 1), game.draw(60, 384, 2)
    else:
        train, test = game.Films(*shadows(32, 192, 1)), game.Films(*shadows(48, 192, 2))
    features = game.averaged_maps(train)
    taught = game.play(game.learn_head(train, features), test)
    shuffled = game.play(game.learn_head(train, features, shuffled=True), test)
    random = game.play(game.network(train, "none"), test)
    print(taught, shuffled, random)
    assert taught.films > 20
    assert taught.hits > 2.5 * taught.chance
    assert taught.hits > 1.5 * max(shuffled.hits, random.hits)
    assert random.hits < 2 * random.chance
