"""A graph made smaller: weights in half precision, or the convolutions in 8-bit integers. Standard operators only."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.quant_utils import add_pre_process_metadata

from hilum.bundle.card import BundleError
from hilum.bundle.format import line_names
from hilum.radiograph.patient import PATIENTS

LINES = {name for patient in (None, *PATIENTS) for name in line_names(patient)}
# Smaller tensors are biases and constants: nothing to gain, and some of them must be exact.
HALVED_FROM = 1024


def half_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """Weights stored in 16 bits and cast to 32 when the file is loaded, so everything is computed as before."""
    halved = onnx.ModelProto()
    halved.CopyFrom(model)
    graph = halved.graph
    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if tensor.data_type != onnx.TensorProto.FLOAT or values.size < HALVED_FROM:
            continue
        if np.abs(values).max() > np.finfo(np.float16).max:
            raise BundleError(f"the weights {tensor.name} are too large for half precision; export without it")
        stored = f"{tensor.name}.half"
        casts.append(onnx.helper.make_node("Cast", [stored], [tensor.name], f"{tensor.name}.cast", to=tensor.data_type))
        tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), stored))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(halved)
    return halved


def int8(model: onnx.ModelProto, films: NDArray[np.uint8]) -> onnx.ModelProto:
    """Convolutions in 8-bit integers, their ranges measured on these films (n, height, width).

    Weights have a scale for each channel and use 7 of 8 bits: processors without 8-bit dot products add pairs in 16
    bits, which would overflow, and a bundle must say the same on every machine. What reads the last feature map stays
    in 32 bits.
    """
    with TemporaryDirectory() as folder:
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        prepared = onnx.ModelProto()
        prepared.CopyFrom(model)
        add_pre_process_metadata(prepared)  # it is folded and cleaned already; without this note, advice is logged
        onnx.save(prepared, before)
        quantize_static(
            before,
            after,
            _Reader(films),
            quant_format=QuantFormat.QDQ,
            # Activations go with their convolutions, so that a range is measured behind them and not before.
            op_types_to_quantize=["Conv", "Add", "Clip", "Relu"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
            nodes_to_exclude=[node.name for node in model.graph.node if _stays(node)],
        )
        quantized = onnx.load(after)
    kept = [opset for opset in quantized.opset_import if opset.domain in ("", "ai.onnx")]
    del quantized.opset_import[:], quantized.metadata_props[:]
    quantized.opset_import.extend(kept)
    quantized.producer_name, quantized.producer_version = model.producer_name, ""
    onnx.checker.check_model(quantized)
    return quantized


def _stays(node: onnx.NodeProto) -> bool:
    """Whether it makes a class activation map of the last feature map of a view, or adds a number that can be set."""
    return any("each_place" in name or name in LINES for name in node.input)


class _Reader(CalibrationDataReader):  # type: ignore[misc]
    """Films one by one, as onnxruntime asks for them."""

    def __init__(self, films: NDArray[np.uint8]) -> None:
        self.films: Iterator[NDArray[np.uint8]] = iter(films)

    def get_next(self) -> dict[str, NDArray[np.uint8]] | None:
        film = next(self.films, None)
        return None if film is None else {"films": film[None, None]}
