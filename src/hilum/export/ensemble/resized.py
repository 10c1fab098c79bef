"""How far a smaller film that the graph makes of a larger one is from what Pillow would have made of the film itself.

The graph scales by the same triangle filter, but what it scales was scaled before: so a smaller film is a little softer
than the one its parent learned to see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from onnx import TensorProto, helper

from hilum.bundle.format import FILMS, PROBABILITIES
from hilum.bundle.trust.trial import set_up
from hilum.export.ensemble.nodes import Nodes
from hilum.export.ensemble.parents import OPSET, Parent, largest
from hilum.radiograph import read
from hilum.radiograph.geometry import Geometry

SMALLER = "smaller"


class Apart(NamedTuple):
    """Of each film the mean difference of its grey levels, and that of the probability of pneumonia, whoever the
    patient."""

    parent: Parent
    levels: NDArray[np.float64]
    chance: NDArray[np.float64]

    def in_words(self, made_of: Geometry) -> str:
        """For a card."""
        return (
            f"{self.parent.card.title} sees films of {self.parent.card.geometry}, made in the graph from {made_of}. "
            f"Against Pillow's on {len(self.levels):,} films: grey levels differ by {self.levels.mean():.2f} of 255 on "
            f"average, its probability of pneumonia by {self.chance.mean():.4f}, {self.chance.max():.4f} at most."
        )


def differences(
    parents: Sequence[Parent], films: Sequence[Path], on_progress: Callable[[int, int], None]
) -> list[Apart]:
    """Of every parent whose films are made from larger ones."""
    whole = largest(parents)
    smaller = [parent for parent in parents if parent.size != (whole.height, whole.width)]
    asked = [_Asked(parent, whole) for parent in smaller]
    for done, film in enumerate(films if smaller else (), start=1):
        pixels = read(film, at_least=whole.at_least).pixels
        for each in asked:
            each.compare(whole.apply(pixels), each.parent.card.geometry.apply(pixels))
        on_progress(done, len(films))
    return [Apart(each.parent, np.array(each.levels), np.array(each.chance)) for each in asked]


class _Asked:
    """A parent that is shown both films."""

    def __init__(self, parent: Parent, whole: Geometry) -> None:
        self.parent = parent
        self.scaling = set_up(_scaling(whole, parent.card.geometry))
        self.network: ort.InferenceSession = set_up(parent.model.SerializeToString())
        self.positive = [parent.card.classes.index(name) for name in parent.card.positive]
        self.levels: list[float] = []
        self.chance: list[float] = []

    def compare(self, large: NDArray[np.uint8], as_pillow: NDArray[np.uint8]) -> None:
        (scaled,) = self.scaling.run([SMALLER], {FILMS: large[None, None]})
        self.levels.append(float(np.abs(scaled[0, 0].astype(float) - as_pillow).mean()))
        both = [self._chance(film) for film in (scaled, as_pillow[None, None])]
        self.chance.append(float(np.abs(both[0] - both[1]).max()))

    def _chance(self, film: NDArray[np.uint8]) -> NDArray[np.float64]:
        (said,) = self.network.run([PROBABILITIES], {FILMS: film})
        return np.asarray(said[..., self.positive].sum(-1, dtype=np.float64))


def _scaling(whole: Geometry, part: Geometry) -> bytes:
    nodes = Nodes()
    nodes.add("Identity", nodes.resized(FILMS, (part.height, part.width), antialias=True), called=SMALLER)
    ends = [
        helper.make_tensor_value_info(name, TensorProto.UINT8, [1, 1, size.height, size.width])
        for name, size in ((FILMS, whole), (SMALLER, part))
    ]
    graph = helper.make_graph(nodes.nodes, "scaling", ends[:1], ends[1:], nodes.numbers)
    opsets = [helper.make_opsetid("", OPSET)]
    content: bytes = helper.make_model(graph, opset_imports=opsets, ir_version=10).SerializeToString()
    onnx.checker.check_model(content)
    return content


def some(films: Iterable[Path], count: int) -> list[Path]:
    """Up to so many, evenly spread."""
    listed = list(films)
    chosen = np.linspace(0, len(listed) - 1, min(count, len(listed))).astype(int)
    return [listed[place] for place in chosen]
