"""Weighted box fusion as nodes of the graph: what `measures/boxes/fusion.py` does, for any number of films at once.

The boxes of all parents are taken in the order of their scores, and each joins a group or begins one. That is a loop,
and a bundle holds no loops (bundle/trust/operators.py says why), so it is written out, a step for each box; only the
MOST boxes of the highest scores take part. A group has the place of the box that began it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from onnx import TensorProto

from hilum.bundle.format import BOXES, SCORES
from hilum.export.ensemble.nodes import Nodes
from hilum.measures.boxes.fusion import OVERLAP

MOST = 48
# A box is kept as left, top, minus right and minus bottom: then the larger of two is the corner of what they share.
KEPT = np.array([[1, 0, -1, 0], [0, 1, 0, -1], [0, 0, -1, 0], [0, 0, 0, -1]], np.float32)  # from left, top, sides
SIDES = np.array([[-1, 0], [0, -1], [-1, 0], [0, -1]], np.float32)
TINY = 1e-12


def most_boxes(counts: Sequence[int]) -> int:
    """How many boxes a film has, of parents that give so many."""
    return min(sum(counts), MOST)


def fuse_in_graph(nodes: Nodes, boxes: Sequence[str], scores: Sequence[str], most: int) -> None:
    """`boxes` (n, most, 4) and `scores` (n, most) of the ensemble, from those of its parents."""
    number, add = nodes.number, nodes.add
    second, last = number([1], np.int64), number([2], np.int64)
    best = f"{SCORES}.best"
    order = f"{SCORES}.order"
    _highest(nodes, add("Concat", *scores, axis=1), most, best, order)
    taken = _rows(nodes, add("Concat", *boxes, axis=1), order)
    taken = add("MatMul", taken, number(KEPT, np.float32))
    area = add("Add", _area(nodes, taken), number(TINY, np.float32))
    alive = add("Sign", best)
    places = number(np.arange(most)[None], np.int64)

    fused = add("Mul", taken, number(0, np.float32))
    confidence = members = add("Mul", best, number(0, np.float32))
    steps = zip(*(nodes.split(value, 1, most) for value in (taken, best, area, alive)), strict=True)
    for step, (box, score, size, is_box) in enumerate(steps):
        shared = _area(nodes, add("Max", fused, box))
        union = add("Sub", add("Add", _area(nodes, fused), size), shared)
        overlap = add("Div", shared, union)
        reached = add("ReduceMax", overlap, second, keepdims=1)
        joins = add("Greater", reached, number(OVERLAP, np.float32))
        group = add("Where", joins, add("ArgMax", overlap, axis=1, keepdims=1), number([[step]], np.int64))
        chosen = add("Mul", add("Cast", add("Equal", places, group), to=TensorProto.FLOAT), is_box)
        weight = add("Mul", chosen, score)
        confidence = add("Add", confidence, weight)
        share = add("Div", weight, add("Max", confidence, number(TINY, np.float32)))
        moved = add("Mul", add("Sub", box, fused), add("Unsqueeze", share, last))
        fused = add("Add", fused, moved)
        members = add("Add", members, chosen)

    opinions = number(len(boxes), np.float32)
    mean = add("Div", confidence, add("Max", members, number(1, np.float32)))
    heard = add("Div", add("Min", members, opinions), opinions)
    _highest(nodes, add("Mul", mean, heard), most, SCORES, f"{BOXES}.order")
    ordered = _rows(nodes, fused, f"{BOXES}.order")
    add("MatMul", ordered, number(np.linalg.inv(KEPT), np.float32), called=BOXES)


def _highest(nodes: Nodes, values: str, count: int, best: str, order: str) -> None:
    """The highest of each row, of equal ones the first."""
    nodes.several("TopK", [values, nodes.number([count], np.int64)], [best, order], axis=1)


def _rows(nodes: Nodes, values: str, order: str) -> str:
    """The rows (n, rows, 4) in this order."""
    last = nodes.number([2], np.int64)
    return nodes.add("GatherND", values, nodes.add("Unsqueeze", order, last), batch_dims=1)


def _area(nodes: Nodes, kept: str) -> str:
    """Of boxes as they are kept (n, boxes, 4); 0 where a side is none."""
    sides = nodes.add("Relu", nodes.add("MatMul", kept, nodes.number(SIDES, np.float32)))
    return nodes.add("ReduceProd", sides, nodes.number([2], np.int64), keepdims=0)
