"""Two views of a film joined into one answer: the weights, and the graph that computes what NumPy does."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from scipy.special import expit, logsumexp, softmax
from test_views import HEADS, SIDE

from hilum.bundle.card import BoxCard, BundleError, Calibration
from hilum.bundle.format import LUNG_STRIDE
from hilum.bundle.trust.operators import ALLOWED
from hilum.export.box_settings import look, sight_of
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.suppression import suppress_in_graph
from hilum.export.joining import Joining, Sight, fit_joining, join
from hilum.network.heads.lungs import LARGEST, believed
from hilum.network.network import create_network

POSITIVE = [2]


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


def test_the_graph_joins_as_numpy_does() -> None:
    network = create_network(
        "timm/mobilenetv3_small_050", 3, "none", heads=HEADS, input_size=(SIDE, SIDE), seed=4
    ).eval()
    with torch.no_grad():
        for parameter in (*network.masks.parameters(), *network.film.opacity.parameters()):  # type: ignore[union-attr]
            parameter.normal_(0, 0.5)
    films = np.random.default_rng(5).integers(0, 256, (6, SIDE, SIDE), np.uint8)
    films[:3, 16:48, 8:28] //= 4
    with torch.no_grad():
        masks = network(torch.from_numpy(films[:, None]).float() / 255).masks
        assert masks is not None
        # So many places of half of the films are lungs that nobody would believe it.
        network.masks.output.bias -= masks.flatten(1).quantile(1 - LARGEST, 1).median()  # type: ignore[union-attr]
    joining = Joining([0.7, 0.4, 0.9, 0.2], -0.3)
    calibration = Calibration("platt", 1.0, [0.8, 0.1], [], {})
    graph = Graph(network, Fitted(calibration, POSITIVE, [1.0, 0.5, 0.0], None, joining))
    model = suppress_in_graph(as_onnx(graph), BoxCard(0.2, 0.3, 1.0, 10, [1.0, 0.5, 0.0], {}))
    assert {node.op_type.encode() for node in model.graph.node} <= ALLOWED
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    given, lungs = session.run(["probabilities", "lungs"], {"films": films[:, None]})
    seen = sight_of(look(network, films))
    assert seen is not None
    odds = seen.scores(POSITIVE) @ np.array(joining.weights) + joining.offset
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
