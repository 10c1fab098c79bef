"""Nodes of an ONNX graph written one after the other, each a call that gives the name of what it makes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from onnx import NodeProto, TensorProto, helper, numpy_helper

PREFIX = "ensemble/"  # of all that is written here, so that no name of a parent's is taken


class Nodes:
    """A graph in the making.

    >>> nodes = Nodes()
    >>> total = nodes.add("Add", "one", nodes.number(2, np.float32))
    """

    def __init__(self) -> None:
        self.nodes: list[NodeProto] = []
        self.numbers: list[TensorProto] = []
        self._names: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def add(self, operator: str, *inputs: str, called: str | None = None, **attributes: Any) -> str:
        """A node with one output, `called` what it is known by outside, or nothing in particular."""
        made = called or f"{PREFIX}{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [made], **attributes))
        return made

    def several(self, operator: str, inputs: list[str], outputs: list[str], **attributes: Any) -> None:
        """A node with several outputs."""
        self.nodes.append(helper.make_node(operator, inputs, outputs, **attributes))

    def split(self, value: str, axis: int, count: int) -> list[str]:
        """A value cut into parts of one row each."""
        made = [f"{PREFIX}Split_{len(self.nodes)}_{part}" for part in range(count)]
        self.nodes.append(helper.make_node("Split", [value], made, axis=axis, num_outputs=count))
        return made

    def mean(self, values: Iterable[str], called: str | None = None) -> str:
        """Of values of one shape."""
        return self.add("Mean", *values, called=called)

    def number(self, value: ArrayLike, kind: DTypeLike) -> str:
        """A constant; equal ones are kept once."""
        held = np.asarray(value, kind)
        content = (held.dtype.str, held.shape, held.tobytes())
        if content not in self._names:
            self._names[content] = f"{PREFIX}number_{len(self._names)}"
            self.numbers.append(numpy_helper.from_array(held, self._names[content]))
        return self._names[content]

    def resized(self, value: str, size: tuple[int, int], *, antialias: bool = False) -> str:
        """A picture or map (n, channels, rows, columns) at another size, bilinearly between the centers of places."""
        sizes = self.number(size, np.int64)
        return self.add("Resize", value, "", "", sizes, mode="linear", axes=[2, 3], antialias=int(antialias))
