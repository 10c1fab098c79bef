"""Non-maximum suppression as nodes of an ONNX graph: standard operators, any number of films, a fixed number of boxes.

Written as nodes because torch's own suppression takes one film at a time and gives as many boxes as it finds, for which
its exporter needs the number of films beforehand. Here the standard operator says which anchors stay, the scores of all
others become 0, and the best few of each film are taken: so every film has the same number of rows, and a score of 0
says that a row is no box.
"""

from __future__ import annotations

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from hilum.bundle.card import BoxCard

CANDIDATES, CANDIDATE_SCORES = "candidates", "candidate_scores"
# Anchors less likely than this are never boxes: they cost time and no figure sees them.
LEAST_SCORE = 0.005


def suppress_in_graph(model: onnx.ModelProto, card: BoxCard) -> onnx.ModelProto:
    """The model with `boxes` (N, most, 4) and `scores` (N, most) in place of the candidates."""
    graph, suppresses = model.graph, card.nms_overlap < 1
    left_to_right = (1 - card.shrinkage) / 2
    numbers: dict[str, NDArray[np.generic]] = {
        "boxes.most": np.array([card.most], np.int64),
        "boxes.nms_overlap": np.array([card.nms_overlap], np.float32),
        "boxes.least_score": np.array([LEAST_SCORE], np.float32),
        "boxes.one": np.array([1], np.int64),
        "boxes.film_and_anchor": np.array([0, 2], np.int64),
        "boxes.four": np.array([1, 1, 4], np.int64),
        "boxes.last": np.array([2], np.int64),
        # From corners to left, top, width, height of the shrunk box.
        "boxes.sides": np.array(
            [
                [1 - left_to_right, 0, -card.shrinkage, 0],
                [0, 1 - left_to_right, 0, -card.shrinkage],
                [left_to_right, 0, card.shrinkage, 0],
                [0, left_to_right, 0, card.shrinkage],
            ],
            np.float32,
        ),
    }
    node = helper.make_node
    suppression = [
        node("Unsqueeze", [CANDIDATE_SCORES, "boxes.one"], ["boxes.by_class"]),
        node(
            "NonMaxSuppression",
            [CANDIDATES, "boxes.by_class", "boxes.most", "boxes.nms_overlap", "boxes.least_score"],
            ["boxes.chosen"],
        ),
        node("Gather", ["boxes.chosen", "boxes.film_and_anchor"], ["boxes.places"], axis=1),
        node("GatherND", [CANDIDATE_SCORES, "boxes.places"], ["boxes.kept"]),
        node("Sub", [CANDIDATE_SCORES, CANDIDATE_SCORES], ["boxes.nothing"]),
        node("ScatterND", ["boxes.nothing", "boxes.places", "boxes.kept"], ["boxes.alive"]),
    ]
    # Queries stand for a box each: what is no box is told by its score alone.
    by_score = [
        node("Greater", [CANDIDATE_SCORES, "boxes.least_score"], ["boxes.likely"]),
        node("Cast", ["boxes.likely"], ["boxes.kept"], to=TensorProto.FLOAT),
        node("Mul", [CANDIDATE_SCORES, "boxes.kept"], ["boxes.alive"]),
    ]
    nodes = [
        *(suppression if suppresses else by_score),
        node("TopK", ["boxes.alive", "boxes.most"], ["scores", "boxes.order"], axis=1),
        node("Unsqueeze", ["boxes.order", "boxes.last"], ["boxes.column"]),
        node("Shape", ["boxes.column"], ["boxes.column_shape"]),
        node("Mul", ["boxes.column_shape", "boxes.four"], ["boxes.shape"]),
        node("Expand", ["boxes.column", "boxes.shape"], ["boxes.rows"]),
        node("GatherElements", [CANDIDATES, "boxes.rows"], ["boxes.corners"], axis=1),
        node("MatMul", ["boxes.corners", "boxes.sides"], ["boxes"]),
    ]
    graph.node.extend(nodes)
    read = {name for made in nodes for name in made.input}
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in numbers.items() if name in read)
    kept = [output for output in graph.output if output.name not in (CANDIDATES, CANDIDATE_SCORES)]
    films = graph.input[0].type.tensor_type.shape.dim[0].dim_param or "films"
    made = [
        helper.make_tensor_value_info("boxes", TensorProto.FLOAT, [films, card.most, 4]),
        helper.make_tensor_value_info("scores", TensorProto.FLOAT, [films, card.most]),
    ]
    del graph.output[:]
    graph.output.extend([*kept, *made])
    onnx.checker.check_model(model)
    return model
