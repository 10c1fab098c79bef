"""The graphs of several bundles as one: films in once, each parent at its own size, answers averaged.

Features stand side by side. Probabilities, groups, heatmaps and lungs are means; maps are brought to the finest of
their kinds first. probability.py, gate.py and fusion.py make the rest.
"""

from __future__ import annotations

from collections.abc import Sequence

import onnx
from onnx import TensorProto, compose, helper

from hilum.bundle.format import (
    BOXES,
    FEATURES,
    FILMS,
    GATE,
    GROUPS,
    HEATMAPS,
    LUNG_STRIDE,
    LUNGS,
    PROBABILITIES,
    SCORES,
)
from hilum.export.ensemble.fusion import fuse_in_graph, most_boxes
from hilum.export.ensemble.gate import states_of, vote_in_graph
from hilum.export.ensemble.nodes import Nodes
from hilum.export.ensemble.parents import Parent, largest
from hilum.export.ensemble.probability import average_in_graph
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.patient import PATIENTS

NUMBER = "number of films"


def join_graphs(parents: Sequence[Parent]) -> onnx.ModelProto:
    """One model of all parents; it takes films at the largest of their geometries."""
    card, geometry = parents[0].card, largest(parents)
    nodes = Nodes()
    tensors: list[TensorProto] = []
    shapes: list[dict[str, tuple[int, ...]]] = []
    for place, parent in enumerate(parents):
        own = compose.add_prefix(parent.model, _prefix(place))
        films = f"{_prefix(place)}{FILMS}"
        if parent.size == (geometry.height, geometry.width):
            nodes.add("Identity", FILMS, called=films)
        else:
            nodes.add("Identity", nodes.resized(FILMS, parent.size, antialias=True), called=films)
        nodes.nodes.extend(own.graph.node)
        tensors.extend(own.graph.initializer)
        shapes.append({output.name: _shape(output) for output in parent.model.graph.output})

    def of_each(output: str) -> list[str]:
        return [f"{_prefix(place)}{output}" for place, given in enumerate(shapes) if output in given]

    classes, groups = len(card.classes), [group.name for group in card.groups]
    positive = [card.classes.index(name) for name in card.positive]
    average_in_graph(nodes, of_each(PROBABILITIES), positive, classes, groups)
    nodes.add("Concat", *of_each(FEATURES), axis=1, called=FEATURES)
    made: dict[str, tuple[int, ...]] = {PROBABILITIES: (len(groups), classes) if groups else (classes,)}
    if groups:
        nodes.mean(of_each(GROUPS), called=GROUPS)
        made[GROUPS] = (len(PATIENTS),)
    if maps := [given[HEATMAPS] for given in shapes if HEATMAPS in given]:
        finest = max(rows for _, rows, _ in maps), max(columns for _, _, columns in maps)
        nodes.mean((nodes.resized(value, finest) for value in of_each(HEATMAPS)), called=HEATMAPS)
        made[HEATMAPS] = (classes, *finest)
    made[FEATURES] = (sum(given[FEATURES][0] for given in shapes),)
    if gates := [parent.card.gate for parent in parents if parent.card.gate is not None]:
        vote_in_graph(nodes, of_each(GATE), gates)
        made[GATE] = (1 + len(states_of(gates)),)
    if lungs := of_each(LUNGS):
        made[LUNGS] = _average_lungs(nodes, lungs, geometry)
    if boxes := of_each(BOXES):
        most = most_boxes([given[BOXES][0] for given in shapes])
        fuse_in_graph(nodes, boxes, of_each(SCORES), most)
        made |= {BOXES: (most, 4), SCORES: (most,)}

    graph = helper.make_graph(
        nodes.nodes,
        "hilum",
        [helper.make_tensor_value_info(FILMS, TensorProto.UINT8, [NUMBER, 1, geometry.height, geometry.width])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, [NUMBER, *shape]) for name, shape in made.items()],
        [*tensors, *nodes.numbers],
    )
    first = parents[0].model
    model = helper.make_model(
        graph,
        opset_imports=first.opset_import,
        ir_version=max(parent.model.ir_version for parent in parents),
        producer_name="hilum",
    )
    onnx.checker.check_model(model)
    return model


def _average_lungs(nodes: Nodes, lungs: list[str], geometry: Geometry) -> tuple[int, int]:
    """Masks (n, rows, columns), at the places that a mask of the ensemble's own films has."""
    size = geometry.height // LUNG_STRIDE, geometry.width // LUNG_STRIDE
    second = nodes.number([1], "int64")
    nodes.add(
        "Squeeze",
        nodes.mean(nodes.resized(nodes.add("Unsqueeze", mask, second), size) for mask in lungs),
        second,
        called=LUNGS,
    )
    return size


def _prefix(place: int) -> str:
    return f"parent{place + 1}/"


def _shape(output: onnx.ValueInfoProto) -> tuple[int, ...]:
    """Without the number of films."""
    return tuple(side.dim_value for side in output.type.tensor_type.shape.dim[1:])
