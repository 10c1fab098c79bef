"""Numbers of the graph that stand in the file by their names, so that they can be set anew there without the network.

Films of one's own move the calibration and the gate's limit (`hilum calibrate`); the weights stay. Exporters fold what
changes nothing, as a factor of 1, and share what is equal: while a graph is written each number is an odd one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn


class Adjustable(nn.Module):
    """One number, called `name` in the file."""

    number: Tensor

    def __init__(self, name: str, number: float) -> None:
        super().__init__()
        self.name = name
        self.register_buffer("number", torch.tensor(number, dtype=torch.float32))


@contextmanager
def kept_apart(graph: nn.Module) -> Iterator[dict[str, Adjustable]]:
    """The adjustable numbers of a graph by what torch calls them, each odd within and itself again afterwards."""
    numbers = {f"{path}.number": part for path, part in graph.named_modules() if isinstance(part, Adjustable)}
    meant = [part.number.clone() for part in numbers.values()]
    try:
        for place, part in enumerate(numbers.values()):
            part.number.fill_(1.0390625 + place / 128)
        yield numbers
    finally:
        for part, number in zip(numbers.values(), meant, strict=True):
            part.number.copy_(number)


def set_by_name(model: onnx.ModelProto, numbers: dict[str, Adjustable]) -> None:
    """Give each number in the model its own name and the value that is meant."""
    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for path, part in numbers.items():
        held[path].CopyFrom(numpy_helper.from_array(np.asarray(part.number.numpy()), part.name))
    for node in model.graph.node:
        node.input[:] = [numbers[name].name if name in numbers else name for name in node.input]
