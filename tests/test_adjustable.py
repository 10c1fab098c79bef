"""Numbers that can be set anew in a bundle's file: what comes of it is what a fresh export would have been."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bundles import tiny_card, tiny_model
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from test_joining import POSITIVE, stir
from test_views import HEADS, SIDE

from hilum.bundle.card import BoxCard, BundleError, Calibration
from hilum.bundle.format import GATE_LIMIT, line_names
from hilum.bundle.onnx_file import write_numbers
from hilum.export.calibrate import apply
from hilum.export.compress import half_weights, int8
from hilum.export.film_fits import FilmFit
from hilum.export.gate.module import GateInput, GateModule, Scatter
from hilum.export.graph.adjustable import Adjustable
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.probability import Probabilities
from hilum.export.graph.suppression import suppress_in_graph
from hilum.export.joining import Joining
from hilum.network.network import Network, create_network
from hilum.radiograph.patient import PATIENTS

PLATT = Calibration("platt", 1.0, [0.8, 0.1], [], {})
TEMPERATURE = Calibration("temperature", 1.5, [], [], {})
ISOTONIC = Calibration("isotonic", 1.0, [0.1, 0.5, 0.9], [0.05, 0.4, 0.97], {})
BOXES = BoxCard(0.2, 0.3, 1.0, 10, [1.0, 0.5, 0.0], {})
FILMS = np.random.default_rng(5).integers(0, 256, (6, 1, SIDE, SIDE), np.uint8)


def serialized(model: onnx.ModelProto) -> bytes:
    return bytes(model.SerializeToString(deterministic=True))


def run(model: bytes) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"films": FILMS}), strict=True))


@pytest.fixture(scope="module")
def network() -> Network:
    return create_network("timm/test_efficientnet", 3, "none", input_size=(SIDE, SIDE), seed=4).eval()


def gate(limit: float = 1.0) -> GateModule:
    """One that looks at the thumbnail alone."""
    torch.manual_seed(1)
    view = GateInput((SIDE, SIDE))
    columns = view(torch.zeros(1, 1, SIDE, SIDE), []).shape[1]
    scatter = Scatter(torch.eye(64)[:, :3], torch.ones(3), torch.tensor(0.5))
    made = GateModule(
        [],
        view,
        (torch.zeros(columns), torch.ones(columns)),
        [(slice(0, 64), scatter)],
        (torch.randn(columns, 7) / 10, torch.zeros(7)),
    ).eval()
    made.limit = Adjustable(GATE_LIMIT, limit)
    return made


@pytest.mark.parametrize("calibration", [TEMPERATURE, ISOTONIC], ids=lambda each: each.method)
def test_a_file_set_anew_is_a_fresh_export(network: Network, calibration: Calibration) -> None:
    """To the byte, for every way to calibrate, the gate's limit included."""

    def exported(slope: float, offset: float, limit: float) -> bytes:
        fit = FilmFit(replace(calibration, slope=slope, offset=offset))
        return serialized(as_onnx(Graph(network, Fitted([fit], POSITIVE, gate=gate(limit)))))

    before = exported(1.0, 0.0, 1.0)
    numbers = {"calibration.slope": 0.625, "calibration.offset": -1.25, "gate.limit": 1.5}
    after = write_numbers(before, numbers)
    assert after == exported(0.625, -1.25, 1.5)
    assert len(after) == len(before)
    was, now = run(before), run(after)
    chance = was["probabilities"][:, POSITIVE].sum(1, dtype=np.float64)
    odds = 0.625 * np.log(chance / (1 - chance)) - 1.25
    np.testing.assert_allclose(now["probabilities"][:, POSITIVE].sum(1), 1 / (1 + np.exp(-odds)), atol=1e-5)
    np.testing.assert_allclose(now["gate"][:, 0], was["gate"][:, 0] / 1.5, rtol=1e-5)
    np.testing.assert_array_equal(now["gate"][:, 1:], was["gate"][:, 1:])
    others = [column for column in range(3) if column not in POSITIVE]
    shares = now["probabilities"][:, others] / now["probabilities"][:, others].sum(1, keepdims=True)
    np.testing.assert_allclose(
        shares, was["probabilities"][:, others] / was["probabilities"][:, others].sum(1, keepdims=True), atol=1e-5
    )


def test_each_group_has_numbers_of_its_own_and_boxes_stay() -> None:
    """Of a network that looks twice, draws boxes and knows children from adults."""
    network = create_network("timm/test_efficientnet", 3, "none", heads=HEADS, input_size=(SIDE, SIDE), seed=4).eval()
    stir(network)
    joinings = (
        Joining([0.7, 0.04, 0.0, 0.0], -0.3, [0.1, 0.2], {}),
        Joining([0.2, 0.03, 0.9, 0.04], 0.2, [0.1, 0.2], {}),
    )
    fits = [FilmFit(PLATT, joining, patient) for joining, patient in zip(joinings, PATIENTS, strict=True)]
    graph = Graph(network, Fitted(fits, POSITIVE, BOXES.calibration))
    before = serialized(suppress_in_graph(as_onnx(graph), BOXES))
    after = write_numbers(before, dict(zip(line_names("adult"), (0.5, 1.0), strict=True)))
    was, now = run(before), run(after)
    np.testing.assert_array_equal(now["probabilities"][:, 0], was["probabilities"][:, 0])
    chance = was["probabilities"][:, 1, POSITIVE].sum(1, dtype=np.float64)
    expected = 1 / (1 + np.exp(-0.5 * np.log(chance / (1 - chance)) - 1))
    np.testing.assert_allclose(now["probabilities"][:, 1, POSITIVE].sum(1), expected, atol=1e-5)
    for name in ("boxes", "scores", "heatmaps", "lungs", "groups"):
        np.testing.assert_array_equal(now[name], was[name])


def test_smaller_files_keep_the_numbers_exact(network: Network) -> None:
    model = as_onnx(Graph(network, Fitted([FilmFit(TEMPERATURE)], POSITIVE, gate=gate())))
    for smaller in (half_weights(model), int8(model, FILMS[:, 0])):
        before = serialized(smaller)
        was = run(before)["probabilities"][:, POSITIVE].sum(1, dtype=np.float64)
        now = run(write_numbers(before, {"calibration.offset": 2.0}))["probabilities"][:, POSITIVE].sum(1)
        np.testing.assert_allclose(now, 1 / (1 + np.exp(-np.log(was / (1 - was)) - 2)), atol=1e-5)


def test_a_line_that_changes_nothing_leaves_every_bit() -> None:
    logits = torch.randn(50, 3, generator=torch.Generator().manual_seed(2)) * 8
    assert torch.equal(Probabilities(TEMPERATURE, 3, POSITIVE)(logits), torch.softmax(logits / 1.5, 1))


@given(st.floats(-30, 30), st.floats(0.1, 5), st.floats(-5, 5))
@settings(max_examples=100)
def test_the_line_acts_on_the_log_odds(score: float, slope: float, offset: float) -> None:
    """Against the same said in plain numbers."""
    chance = apply(replace(PLATT, slope=slope, offset=offset), np.array([[0.0, score]]), [1])[0, 1]
    assert chance == pytest.approx(1 / (1 + np.exp(-(slope * (0.8 * score + 0.1) + offset))), abs=1e-9)


def test_an_earlier_bundle_says_what_it_lacks() -> None:
    model: Any = tiny_model(tiny_card())
    with pytest.raises(BundleError, match=r"earlier hilum, in whose files gate\.limit cannot be set anew; export"):
        write_numbers(model.SerializeToString(), {"gate.limit": 2.0})
    with pytest.raises(BundleError, match="no ONNX model"):
        write_numbers(b"\x0a\xff", {"gate.limit": 2.0})
