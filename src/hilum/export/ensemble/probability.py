"""The mean of the parents' calibrated probabilities, calibrated once more, as nodes of the graph.

A mean of probabilities is less sure than each of them. So its log odds of pneumonia go along a line, whose slope and
offset stand in the file by their names, as in every bundle; the shares within the classes that mean pneumonia, and
within the others, stay. `along` is the same in NumPy.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from onnx import numpy_helper

from hilum.bundle.format import PROBABILITIES, line_names
from hilum.export.ensemble.nodes import Nodes
from hilum.measures.figure import Floats
from hilum.radiograph.patient import Patient

LEAST = 1e-7  # of a probability: whatever is less likely has log odds of its own no longer


class Line(NamedTuple):
    """What becomes of log odds: slope * odds + offset."""

    slope: float = 1.0
    offset: float = 0.0


def average_in_graph(
    nodes: Nodes, each: Sequence[str], positive: Sequence[int], classes: int, groups: Sequence[Patient]
) -> None:
    """`probabilities` of the ensemble, from those of its parents: (n, classes), or (n, groups, classes)."""
    add, number = nodes.add, nodes.number
    mean = nodes.mean(each)
    second = number([1], np.int64)
    if not groups:
        add("Identity", _calibrated(nodes, mean, positive, classes, None), called=PROBABILITIES)
        return
    made = []
    for column, patient in enumerate(groups):
        own = add("Gather", mean, number(column, np.int64), axis=1)
        made.append(add("Unsqueeze", _calibrated(nodes, own, positive, classes, patient), second))
    add("Concat", *made, axis=1, called=PROBABILITIES)


def _calibrated(nodes: Nodes, mean: str, positive: Sequence[int], classes: int, patient: Patient | None) -> str:
    """The softmax of the logs of a mean is the mean; log odds are added to those of the classes of pneumonia."""
    add, number = nodes.add, nodes.number
    slope, offset = line_names(patient)
    for name, value in zip((slope, offset), Line(), strict=True):
        nodes.numbers.append(numpy_helper.from_array(np.asarray(value, np.float32), name))
    raised = np.array([[float(column in positive) for column in range(classes)]])
    logits = add("Log", add("Max", mean, number(LEAST, np.float32)))
    inside, outside = (
        add("ReduceLogSumExp", add("Gather", logits, number(columns, np.int64), axis=1), number([1], np.int64))
        for columns in (np.flatnonzero(raised[0]), np.flatnonzero(raised[0] == 0))
    )
    odds = add("Sub", inside, outside)
    further = add("Sub", add("Add", add("Mul", slope, odds), offset), odds)
    return add("Softmax", add("Add", logits, add("Mul", further, number(raised, np.float32))), axis=1)


def along(line: Line, mean: NDArray[np.floating], positive: Sequence[int]) -> Floats:
    """The probabilities (n, classes) that the graph makes of means."""
    logits = np.log(np.maximum(np.asarray(mean, np.float64), LEAST))
    inside = np.isin(np.arange(logits.shape[1]), positive)
    odds = np.logaddexp.reduce(logits[:, inside], axis=1) - np.logaddexp.reduce(logits[:, ~inside], axis=1)
    logits[:, inside] += (line.slope * odds + line.offset - odds)[:, None]
    made = np.exp(logits - logits.max(1, keepdims=True))
    return np.asarray(made / made.sum(1, keepdims=True))
