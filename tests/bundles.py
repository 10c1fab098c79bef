"""A tiny bundle made by hand with the onnx package: what it answers can be said without running it.

Its feature map has two channels over 8 x 8 places: brightness and darkness. Bright places speak for pneumonia. Its gate
finds a film the farther from the training films the brighter it is on average: above half is too far.

As a detector it looks at the four quarters of the picture: each that is bright has a box, the surer the brighter.
What it calls lungs is as bright as the film.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hilum.bundle.card import (
    FORMAT,
    BoxCard,
    Calibration,
    Card,
    DataCard,
    GateCard,
    GroupCard,
    OperatingPoint,
    pack_digests,
)
from hilum.bundle.onnx_file import DIGEST, read_model, write_metadata
from hilum.bundle.prediction import Answered, Prediction
from hilum.bundle.reading import Verdict
from hilum.bundle.trust.trial import remember
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.patient import Patient

PLACES = 8
SLOPE = 6.0  # logit of pneumonia = SLOPE * brightness, of normal = SLOPE * darkness
# x, y, width, height of a box in each quarter, row by row. Its score rises from 0 at a brightness of DIM to 1 at white.
QUARTERS = tuple((x, y, 0.375, 0.375) for y in (0.0625, 0.5625) for x in (0.0625, 0.5625))
DIM = 0.25


def tiny_card(geometry: Geometry | None = None, **changes: Any) -> Card:
    card = Card(
        format=FORMAT,
        task="classification",
        name="tiny",
        title="A network made by hand",
        classes=["normal", "pneumonia"],
        positive=["pneumonia"],
        geometry=geometry or Geometry("squash", 64, 64),
        heatmap="class activation map",
        calibration=Calibration("temperature", 1.0, [], [], {"films": 100.0}),
        operating_points=[
            OperatingPoint("balanced", 0.5, "highest Youden index", 0.9, 0.8),
            OperatingPoint("sensitive", 0.2, "sensitivity of at least 0.95", 0.96, 0.6),
        ],
        default_point="balanced",
        gate=GateCard(0.01, 0.9, 100, ""),
        recipe={"network": {"name": "tiny"}, "phases": [{"epochs": 1}]},
        data=DataCard(
            "0" * 32, {"train": {"normal": 2}}, {"train": 2}, "made up", "", "", "patient", {"train": pack_digests([])}
        ),
        figures={"validation": {"auc": 0.9}},
        versions={"hilum": "0.1.0"},
        made="2026-01-31",
        intended_use="tests",
        limits=["knows nothing"],
        notes=[],
    )
    return replace(card, **changes)


def tiny_model(
    card: Card,
    *,
    gate: bool = True,
    heatmaps: bool = True,
    boxes: bool = False,
    lungs: bool = False,
    scale: float = 1.0,
) -> onnx.ModelProto:
    height, width = card.geometry.height, card.geometry.width
    numbers = {
        "white": np.float32(255 / scale),
        "one": np.float32(1),
        "two": np.float32(2),
        "weights": np.array([[0, SLOPE], [SLOPE, 0]], np.float32)[:, :, None, None],
        "zeros": np.zeros((1, 6), np.float32),
        "upright": np.array([[1, 0, 0, 0, 0, 0]], np.float32),
        "second": np.array([1], np.int64),
    }
    window: dict[str, Any] = {
        "kernel_shape": [height // PLACES, width // PLACES],
        "strides": [height // PLACES, width // PLACES],
    }
    nodes = [
        helper.make_node("Cast", ["films"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Div", ["levels", "white"], ["grey"]),
        helper.make_node("AveragePool", ["grey"], ["bright"], **window),
        helper.make_node("Sub", ["one", "bright"], ["dark"]),
        helper.make_node("Concat", ["bright", "dark"], ["map"], axis=1),
        helper.make_node("Conv", ["map", "weights"], ["heatmaps" if heatmaps else "unused"]),
        helper.make_node("GlobalAveragePool", ["map"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["features"]),
        helper.make_node("GlobalAveragePool", ["heatmaps" if heatmaps else "unused"], ["means"]),
        helper.make_node("Flatten", ["means"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    if boxes:
        numbers |= {
            "quarters": np.array(QUARTERS, np.float32),
            "dim": np.float32(DIM),
            "span": np.float32(1 - DIM),
            "all four": np.array([4], np.int64),
        }
        nodes += [
            helper.make_node("AveragePool", ["bright"], ["in quarters"], kernel_shape=[4, 4], strides=[4, 4]),
            helper.make_node("Flatten", ["in quarters"], ["quarter"]),
            helper.make_node("Sub", ["quarter", "dim"], ["above dim"]),
            helper.make_node("Div", ["above dim", "span"], ["signed"]),
            helper.make_node("Relu", ["signed"], ["unsorted"]),
            helper.make_node("TopK", ["unsorted", "all four"], ["scores", "which"]),
            helper.make_node("Gather", ["quarters", "which"], ["boxes"]),
        ]
    if lungs:
        nodes += [
            helper.make_node("AveragePool", ["grey"], ["in fours"], kernel_shape=[4, 4], strides=[4, 4]),
            helper.make_node("Squeeze", ["in fours", "second"], ["lungs"]),
        ]
    if gate:
        nodes += [
            helper.make_node("GlobalAveragePool", ["bright"], ["mean"]),
            helper.make_node("Flatten", ["mean"], ["brightness"]),
            helper.make_node("Mul", ["brightness", "two"], ["distance"]),
            helper.make_node("MatMul", ["distance", "zeros"], ["nothing"]),
            helper.make_node("Add", ["nothing", "upright"], ["states"]),
            helper.make_node("Concat", ["distance", "states"], ["gate"], axis=1),
        ]
    shapes: dict[str, list[Any]] = {"probabilities": ["n", 2]}
    if heatmaps:
        shapes["heatmaps"] = ["n", 2, PLACES, PLACES]
    shapes["features"] = ["n", 2]
    if boxes:
        shapes["boxes"], shapes["scores"] = ["n", 4, 4], ["n", 4]
    if lungs:
        shapes["lungs"] = ["n", height // 4, width // 4]
    if gate:
        shapes["gate"] = ["n", 7]
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("films", TensorProto.UINT8, ["n", 1, height, width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items() if name in used],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)


def tiny_bundle(
    folder: Path, geometry: Geometry | None = None, *, heatmaps: bool = True, gate: bool = True, **changes: Any
) -> Path:
    """The bundle as a file in the folder."""
    if not heatmaps:
        changes.setdefault("heatmap", "none: for a test")
    if not gate:
        changes.setdefault("gate", None)
    card = tiny_card(geometry, **changes)
    path = folder / "tiny.onnx"
    return _write(tiny_model(card, gate=gate, heatmaps=heatmaps), card, path)


def tiny_detection_bundle(
    folder: Path,
    geometry: Geometry | None = None,
    *,
    threshold: float = 0.5,
    gate: bool = True,
    maps: bool = False,
    **changes: Any,
) -> Path:
    """The detector as a file in the folder; it says the same of the whole film as `tiny_bundle`. With `maps` it has
    heatmaps and lungs, too."""
    boxes = BoxCard(threshold, 0.3, 1.0, len(QUARTERS), [1.0, 0.0, 0.0], {"rsna_score": 0.2, "map_50": 0.4})
    heatmap = "class activation map" if maps else "none: it draws boxes instead"
    changes = {"task": "detection", "boxes": boxes, "heatmap": heatmap} | changes
    if not gate:
        changes.setdefault("gate", None)
    card = tiny_card(geometry, **changes)
    path = folder / "tiny_detector.onnx"
    model = tiny_model(card, gate=gate, heatmaps=maps, boxes=True, lungs=maps)
    return _write(model, card, path)


def slow_bundle(folder: Path) -> Path:
    """A bundle that does not come to an end with any film: it takes means over all places of a large picture."""
    card = tiny_card(Geometry("squash", 4096, 4096))
    model = tiny_model(card)
    pooling = next(node for node in model.graph.node if node.output[0] == "bright")
    pooling.output[0] = "as usual"
    model.graph.initializer.append(numpy_helper.from_array(np.zeros((), np.float32), "nought"))
    place = list(model.graph.node).index(pooling) + 1
    for node in (
        helper.make_node("Add", ["as usual", "nothing of it"], ["bright"]),
        helper.make_node("Mul", ["slowness", "nought"], ["nothing of it"]),
        helper.make_node("GlobalAveragePool", ["slow"], ["slowness"]),
        helper.make_node("AveragePool", ["grey"], ["slow"], kernel_shape=[2048, 2048]),
    ):
        model.graph.node.insert(place, node)
    return _write(model, card, folder / "slow.onnx")


def _write(model: onnx.ModelProto, card: Card, path: Path) -> Path:
    """The bundle as `hilum export` leaves it: known, so that whoever opens it does not try it first."""
    path.write_bytes(write_metadata(model.SerializeToString(), card))
    remember(read_model(path)[DIGEST])
    return path


def expected_boxes(levels: NDArray[np.uint8]) -> list[tuple[float, float, float, float, float]]:
    """x, y, width, height and score that the tiny detector must draw, the surest first, where geometry keeps all."""
    height, width = levels.shape
    bright = [
        float(levels[row : row + height // 2, column : column + width // 2].mean() / 255)
        for row in (0, height // 2)
        for column in (0, width // 2)
    ]
    found = [(*box, (value - DIM) / (1 - DIM)) for box, value in zip(QUARTERS, bright, strict=True) if value > DIM]
    return sorted(found, key=lambda box: -box[-1])


def answered(prediction: Prediction) -> Answered:
    """The prediction, which must be an answer."""
    assert isinstance(prediction, Answered), prediction
    return prediction


def an_answer(**changes: Any) -> Answered:
    """Pneumonia on some film, as a bundle says it."""
    as_usual: dict[str, Any] = {
        "path": "ward/film.png",
        "operating_point": "balanced",
        "threshold": 0.5,
        "box_threshold": None,
        "model": "A network made by hand",
        "bundle": "0" * 32,
        "height": 64,
        "width": 64,
        "turn": 1,
        "warnings": (),
        "gate": Verdict(True),
        "decision": "pneumonia",
        "probability": 0.93,
        "probabilities": {"normal": 0.07, "pneumonia": 0.93},
        "heatmap": None,
        "about": "class activation map",
        "geometry": Geometry("squash", 64, 64),
        "boxes": (),
    }
    return Answered(**as_usual | changes)


def expected_probability(levels: NDArray[np.uint8]) -> float:
    """What the tiny network must say of grey levels whose sides are multiples of 8."""
    brightness = float(levels.mean() / 255)
    return float(1 / (1 + np.exp(-SLOPE * (2 * brightness - 1))))


# Of the bundle that answers for children and for adults apart: logits are these times (brightness, darkness).
KINDS = ("normal", "other_finding", "bacterial", "viral")
WEIGHTS = np.array([[0, 6], [4, 4], [6, 0], [4, 0]], np.float64)
SOFTENED = 2.0  # what an adult's logits are divided by


def group_card(name: Patient, threshold: float, *, tells_kinds: bool) -> GroupCard:
    points = [
        OperatingPoint("balanced", threshold, "highest Youden index", 0.9, 0.8),
        OperatingPoint("sensitive", threshold / 2, "sensitivity of at least 0.95", 0.96, 0.6),
    ]
    films = {"with_pneumonia": 40, "without": 60, "recognized": 95}
    return GroupCard(name, Calibration("platt", 1.0, [1.0, 0.0], [], {"films": 100.0}), points, tells_kinds, films)


def tiny_group_bundle(folder: Path, **changes: Any) -> Path:
    """A bundle with four classes and two groups of patients, as a file in the folder.

    It takes a film for an adult's where darkness, squared, is above half; its gate passes whatever is not too bright.
    """
    groups = [group_card("child", 0.5, tells_kinds=True), group_card("adult", 0.3, tells_kinds=False)]
    as_usual = {"classes": list(KINDS), "positive": ["bacterial", "viral"], "calibration": None, "groups": groups}
    card = tiny_card(**as_usual | {"operating_points": [], "heatmap": "none: for a test"} | changes)
    model = tiny_model(card, heatmaps=False)
    nodes = [node for node in model.graph.node if node.output[0] not in ("unused", "means", "logits", "probabilities")]
    nodes += [
        helper.make_node("MatMul", ["features", "to logits"], ["child"]),
        helper.make_node("Div", ["child", "softened"], ["adult"]),
        helper.make_node("Unsqueeze", ["child", "second"], ["of child"]),
        helper.make_node("Unsqueeze", ["adult", "second"], ["of adult"]),
        helper.make_node("Concat", ["of child", "of adult"], ["both"], axis=1),
        helper.make_node("Softmax", ["both"], ["probabilities"], axis=2),
        helper.make_node("Gather", ["features", "second"], ["dark half"], axis=1),
        helper.make_node("Mul", ["dark half", "dark half"], ["is adult"]),
        helper.make_node("Sub", ["one", "is adult"], ["is child"]),
        helper.make_node("Concat", ["is child", "is adult"], ["groups"], axis=1),
    ]
    numbers = {
        "to logits": WEIGHTS.T.astype(np.float32),
        "second": np.array([1], np.int64),
        "softened": np.float32(SOFTENED),
    }
    del model.graph.node[:], model.graph.output[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(numpy_helper.from_array(np.asarray(value), name) for name, value in numbers.items())
    shapes: dict[str, list[Any]] = {"probabilities": ["n", 2, 4], "groups": ["n", 2], "features": ["n", 2]}
    shapes["gate"] = ["n", 7]
    model.graph.output.extend(
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()
    )
    return _write(model, card, folder / "tiny_groups.onnx")


def expected_of_group(levels: NDArray[np.uint8], patient: Patient) -> NDArray[np.float64]:
    """What the tiny bundle with groups must say of each class."""
    brightness = float(levels.mean() / 255)
    logits = WEIGHTS @ [brightness, 1 - brightness] / (SOFTENED if patient == "adult" else 1)
    shares = np.exp(logits - logits.max())
    return np.asarray(shares / shares.sum())
