"""Two views of a film joined into one answer: the weights, and the graph that computes what NumPy does."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from scipy.special import expit, logsumexp, softmax
from test_views import HEADS, SIDE
from torch.nn.functional import interpolate

from hilum.bundle.card import BoxCard, BundleError, Calibration
from hilum.bundle.format import LUNG_STRIDE
from hilum.bundle.trust.operators import ALLOWED
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.suppression import suppress_in_graph
from hilum.export.joining import Joining, Sight, fit_joining, join
from hilum.export.look import look, sight_of
from hilum.network.heads.lungs import LARGEST, believed
from hilum.network.heads.opacity import highest
from hilum.network.network import Network, create_network

POSITIVE = [2]
JOINING = Joining([0.7, 0.4, 0.9, 0.2], -0.3, [-0.6, 0.4], {})
ONE_ANSWER = HEADS._replace(group=False)


def sight(films: int = 400, seed: int = 0) -> tuple[Sight, np.ndarray]:
    """Films whose pneumonia both views see, the lungs better, each with noise of its own."""
    random = np.random.default_rng(seed)
    truth = random.random(films) < 0.5
    film, lungs = random.normal(0, 1, (2, films, 3))
    film[:, 2] += 1.0 * truth
    lungs[:, 2] += 3.0 * truth
    places = random.normal(0, 1, (2, films)) + truth
    return Sight(film, places[0], lungs, places[1]), truth


def test_joined_views_tell_films_better_than_either() -> None:
    known, truth = sight(seed=1)
    joining = fit_joining(known, truth, POSITIVE)
    seen, wanted = sight(seed=2)
    joined = join(seen, joining, POSITIVE)
    odds = joined[:, 2] - logsumexp(joined[:, :2], axis=1)

    def right(score: np.ndarray) -> float:
        return float(((score > np.median(score)) == wanted).mean())

    assert right(odds) > max(map(right, seen.scores(POSITIVE).T))
    assert joining.weights[2] > joining.weights[0] > 0
    # What the film is apart from pneumonia stays as the view of the whole film has it.
    np.testing.assert_allclose(softmax(joined[:, :2], axis=1), softmax(seen.film[:, :2], axis=1))
    np.testing.assert_allclose(expit(odds), expit(seen.scores(POSITIVE) @ joining.weights + joining.offset))


def test_too_few_films_are_refused() -> None:
    known, truth = sight(30)
    with pytest.raises(BundleError, match="at least 20"):
        fit_joining(known, truth, POSITIVE)


def test_a_second_view_that_knows_nothing_is_left_out() -> None:
    known, truth = sight(seed=6)
    lungs = np.random.default_rng(7).normal(0, 1, (2, *known.lungs.shape))
    blind = known._replace(lungs=lungs[0], lungs_places=lungs[1, :, 0])
    joining = fit_joining(blind, truth, POSITIVE)
    assert joining.weights[2:] == [0, 0] and min(joining.weights[:2]) > 0
    assert joining.log_losses["whole film"] < joining.log_losses["both views"]
    assert fit_joining(known, truth, POSITIVE).weights[2] > 0


def stir(network: Network) -> None:
    """A start at which masks are believed for some films and not for others."""
    assert network.masks is not None and network.film.opacity is not None
    chance = torch.Generator().manual_seed(6)
    with torch.no_grad():
        for parameter in (*network.masks.parameters(), *network.film.opacity.parameters()):
            parameter.normal_(0, 0.5, generator=chance)


@pytest.fixture(scope="module")
def looked_twice() -> tuple[Network, np.ndarray]:
    """A network that looks twice, and films on some of which it finds a pair of lungs that is believed."""
    network = create_network("timm/test_efficientnet", 3, "none", heads=ONE_ANSWER, input_size=(SIDE, SIDE), seed=4)
    stir(network.eval())
    films = np.random.default_rng(5).integers(0, 256, (6, SIDE, SIDE), np.uint8)
    films[:3, 16:48, 8:28] //= 4
    with torch.no_grad():
        masks = network(torch.from_numpy(films[:, None]).float() / 255).masks
        assert masks is not None
        # So many places of half of the films are lungs that nobody would believe it.
        network.masks.output.bias -= masks.flatten(1).quantile(1 - LARGEST, 1).median()  # type: ignore[union-attr]
    return network, films


def test_the_graph_joins_as_numpy_does(looked_twice: tuple[Network, np.ndarray]) -> None:
    network, films = looked_twice
    calibration = Calibration("platt", 1.0, [0.8, 0.1], [], {})
    graph = Graph(network, Fitted([FilmFit(calibration, JOINING)], POSITIVE, [1.0, 0.5, 0.0]))
    model = suppress_in_graph(as_onnx(graph), BoxCard(0.2, 0.3, 1.0, 10, [1.0, 0.5, 0.0], {}))
    assert {node.op_type.encode() for node in model.graph.node} <= ALLOWED
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given, lungs, heatmaps = session.run(["probabilities", "lungs", "heatmaps"], {"films": films[:, None]})
    np.testing.assert_allclose(heatmaps, in_torch(graph, films)["heatmaps"], atol=1e-3, rtol=1e-3)
    seen = sight_of(look(network, films))
    assert seen is not None
    odds = seen.scores(POSITIVE) @ np.array(JOINING.weights) + JOINING.offset
    np.testing.assert_allclose(given[:, 2], expit(0.8 * odds + 0.1), atol=1e-4)
    with torch.no_grad():
        masks = network(torch.from_numpy(films[:, None]).float() / 255).masks
    assert masks is not None
    np.testing.assert_allclose(lungs, believed(masks).squeeze(1).numpy(), atol=1e-4)
    assert lungs.shape[1:] == (SIDE // LUNG_STRIDE, SIDE // LUNG_STRIDE)
    assert {bool((mask == 1).all()) for mask in lungs} == {True, False}, (
        "films with and without a mask that is believed"
    )
    rest = softmax(seen.film[:, :2], axis=1) * (1 - given[:, 2:])
    np.testing.assert_allclose(given[:, :2], rest, atol=1e-4)


def test_a_heatmap_shows_the_places_that_joined_log_odds_come_from(looked_twice: tuple[Network, np.ndarray]) -> None:
    """Each map's value times the gradient of the joined log odds there, from torch, laid over each other."""
    network, films = looked_twice
    graph = Graph(network, Fitted([FilmFit(UNCALIBRATED, JOINING)], POSITIVE, [1.0, 0.5, 0.0]))
    assert graph.heatmap == "class activation map and highest places of both views, joined"
    given = in_torch(graph, films)
    chances = torch.from_numpy(given["probabilities"])
    slopes = chances / (1 - chances[:, POSITIVE])  # shares among the classes that are not pneumonia
    evidence = torch.from_numpy(given["heatmaps"])
    evidence = evidence[:, 2] - (slopes[:, :2, None, None] * evidence[:, :2]).sum(1)

    assert network.lungs is not None and network.masks is not None and network.blackened is not None
    grey = torch.from_numpy(films[:, None]).float() / 255
    with torch.no_grad():
        maps, taps = network.film.maps_and_taps(grey)
        mask = believed(network.masks(network.film.body.select(taps, (4, 8, 16, 32))))
        lung_maps, lung_taps = network.lungs.maps_and_taps(network.blackened(grey, mask))
        assert network.film.opacity is not None and network.lungs.opacity is not None
        opacity = network.film.opacity(*network.film.body.select(taps, (16, 32)))
        lung_opacity = network.lungs.opacity(*network.lungs.body.select(lung_taps, (16, 32)))
    leaves = [leaf.clone().requires_grad_() for leaf in (maps, opacity, lung_maps, lung_opacity)]
    scores = [
        odds(network.film.head(leaves[0].mean((2, 3)))),
        highest(leaves[1]),
        odds(network.lungs.head(leaves[2].mean((2, 3)))),
        highest(leaves[3]),
    ]
    joined: torch.Tensor = sum(weight * score for weight, score in zip(JOINING.weights, scores, strict=True))  # type: ignore[assignment]
    gradients = torch.autograd.grad(joined.sum(), leaves)
    expected = torch.zeros_like(opacity)
    usual = (0.0, JOINING.usual[0], 0.0, JOINING.usual[1])
    for leaf, gradient, zero in zip(leaves, gradients, usual, strict=True):
        places = leaf.shape[2] * leaf.shape[3]
        map_ = ((leaf.detach() - zero) * gradient).sum(1, keepdim=True) * places
        expected += interpolate(map_, opacity.shape[2:], mode="bilinear")
    torch.testing.assert_close(evidence, expected[:, 0], atol=1e-3, rtol=1e-3)


def odds(logits: torch.Tensor) -> torch.Tensor:
    return logits[:, 2] - logits[:, :2].logsumexp(1)


def in_torch(graph: Graph, films: np.ndarray) -> dict[str, np.ndarray]:
    with torch.no_grad():
        given = graph(torch.from_numpy(films[:, None]))
    return {name: value.numpy() for name, value in zip(graph.outputs, given, strict=True)}
