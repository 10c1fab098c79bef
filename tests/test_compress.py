"""What a file says on real films, as it is and made smaller: how little changes, and that every runtime can read it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from conftest import SOAK
from numpy.typing import NDArray
from onnx import TensorProto, numpy_helper
from torch import nn

from hilum.export.compress import half_weights, int8
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.network import Network, create_network
from hilum.radiograph import read
from hilum.radiograph.geometry import Geometry

SIDE = 64
REAL_FILMS = 500 if SOAK else 100


@pytest.fixture(scope="module")
def films() -> NDArray[np.uint8]:
    torch.manual_seed(5)
    smooth = nn.functional.interpolate(torch.rand(40, 1, 6, 6), (SIDE, SIDE), mode="bicubic").clamp(0, 1)
    return (smooth[:, 0] * 255).byte().numpy()


@pytest.fixture(scope="module")
def network(films: NDArray[np.uint8]) -> Network:
    """EfficientNet-Lite0 as ImageNet left it, with a head that tells the films apart."""
    network = create_network("efficientnet_lite0", 2, "imagenet", input_size=(SIDE, SIDE), seed=1)
    last = network.get_submodule("film.head.linear")
    assert isinstance(last, nn.Linear)
    with torch.no_grad():
        logits = network.eval()(torch.from_numpy(films)[:, None].float() / 255).film
        last.weight.mul_(2 / logits.std(0).mean())
        last.bias.sub_(2 * logits.mean(0) / logits.std(0).mean())
    return network


@pytest.fixture(scope="module")
def model(network: Network) -> onnx.ModelProto:
    return as_onnx(Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1])))


def run(model: onnx.ModelProto, films: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"films": films[:, None]}), strict=True))


@pytest.mark.soak
def test_on_real_films_the_file_says_what_the_network_says(
    real_data: Path, network: Network, model: onnx.ModelProto
) -> None:
    paths = sorted((real_data / "kermany-224" / "test").rglob("*.jpeg"))[:: 600 // REAL_FILMS][:REAL_FILMS]
    assert len(paths) == REAL_FILMS
    geometry = Geometry("squash", SIDE, SIDE)
    films = np.stack([geometry.apply(read(path).pixels) for path in paths])
    with torch.inference_mode():
        expected = network(torch.from_numpy(films)[:, None].float() / 255).film.softmax(1).numpy()
    assert np.abs(run(model, films)["probabilities"] - expected).max() < 1e-4


def test_half_weights_are_half_the_size_and_computed_as_before(
    model: onnx.ModelProto, films: NDArray[np.uint8]
) -> None:
    halved = half_weights(model)
    assert halved.ByteSize() < 0.55 * model.ByteSize()
    rounded = onnx.ModelProto()
    rounded.CopyFrom(model)
    for tensor in rounded.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.size >= 1024:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16).astype(np.float32), tensor.name))
    said, expected, before = run(halved, films), run(rounded, films), run(model, films)
    for name, values in said.items():
        np.testing.assert_allclose(values, expected[name], atol=2e-5, rtol=1e-4)
    np.testing.assert_allclose(said["probabilities"], before["probabilities"], atol=0.02)
    assert before["probabilities"].std(0).min() > 0.1


def test_int8_keeps_the_order_of_films(model: onnx.ModelProto, films: NDArray[np.uint8]) -> None:
    small = int8(model, films[:16])
    assert small.ByteSize() < 0.4 * model.ByteSize()
    said, before = run(small, films[16:]), run(model, films[16:])
    assert np.corrcoef(said["probabilities"][:, 1], before["probabilities"][:, 1])[0, 1] > 0.9
    assert said["heatmaps"].shape == before["heatmaps"].shape


def test_int8_holds_standard_operators_and_weights_of_seven_bits(
    model: onnx.ModelProto, films: NDArray[np.uint8]
) -> None:
    small = int8(model, films[:2])
    assert [opset.domain for opset in small.opset_import] == [""]
    assert {node.domain for node in small.graph.node} == {""}
    kinds = Counter(node.op_type for node in small.graph.node)
    assert kinds["QuantizeLinear"] > 40 and kinds["DequantizeLinear"] > 90
    weights = [numpy_helper.to_array(t) for t in small.graph.initializer if t.data_type == TensorProto.INT8]
    large = [values for values in weights if values.ndim == 4]
    assert len(large) == kinds["Conv"] - 1, "all convolutions but the one that makes heatmaps"
    assert all(np.abs(values.astype(int)).max() <= 64 for values in large)


def test_int8_bears_channels_with_means_of_their_own(films: NDArray[np.uint8]) -> None:
    """The first convolution then reads a channel of ones beside the grey levels; both are rounded with one scale."""
    network = create_network("resnet18", 2, "none", input_size=(SIDE, SIDE), seed=1)
    model = as_onnx(Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1])))
    weights = next(
        numpy_helper.to_array(tensor)
        for tensor in int8(model, films[:2]).graph.initializer
        if tensor.data_type == TensorProto.INT8 and tuple(tensor.dims)[1:] == (2, 7, 7)
    )
    assert np.median(np.abs(weights[:, 0].astype(int)).max((1, 2))) > 20, "the weights of the film are not rounded away"
