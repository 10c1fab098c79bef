"""What a film costs an ensemble, against its parents asked one by one: milliseconds of one core, and the ratio.

    python benchmarks/ensemble.py [A.onnx B.onnx ...]

Without bundles two are made of EfficientNet-Lite0 with untrained weights, for films of 224 and of 160 pixels.
"""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.trust.trial import set_up
from hilum.export.ensemble.graph import join_graphs
from hilum.export.ensemble.parents import Parent, largest, open_parents

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
ROUNDS = 15
SIDES = (224, 160)


def main(paths: Sequence[Path]) -> None:
    parents = open_parents(paths) if paths else untrained()
    together = join_graphs(parents)
    whole = largest(parents)
    random = np.random.default_rng(1)

    def film(height: int, width: int) -> NDArray[np.uint8]:
        return random.integers(0, 256, (1, 1, height, width), np.uint8)

    asked = [(set_up(together.SerializeToString()), film(whole.height, whole.width))]
    asked += [(set_up(parent.model.SerializeToString()), film(*parent.size)) for parent in parents]
    seconds: list[list[float]] = [[] for _ in asked]
    for _ in range(ROUNDS):
        for (session, levels), taken in zip(asked, seconds, strict=True):
            start = time.process_time()
            session.run(None, {"films": levels})
            taken.append(time.process_time() - start)
    ensemble, *single = (1000 * statistics.median(taken[1:]) for taken in seconds)
    print(f"parents: {', '.join(f'{each:.1f}' for each in single)} ms a film, {sum(single):.1f} together")
    print(f"ensemble: {ensemble:.1f} ms, {ensemble / sum(single):.2f} times as long as its parents one by one")
    print(f"nodes: {len(together.graph.node):,}, parents {sum(len(each.model.graph.node) for each in parents):,}")


def untrained() -> list[Parent]:
    """Two networks that have learned nothing, at different sizes."""
    from bundles import tiny_card

    from hilum.export.film_fits import UNCALIBRATED, FilmFit
    from hilum.export.graph.as_onnx import as_onnx
    from hilum.export.graph.graph import Fitted, Graph
    from hilum.network import create_network
    from hilum.radiograph.geometry import Geometry

    made = []
    for side in SIDES:
        network = create_network("efficientnet_lite0", 2, "none", input_size=(side, side), seed=1).eval()
        card = tiny_card(Geometry("squash", side, side), gate=None)
        model = as_onnx(Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1])))
        made.append(Parent(Path(f"{side}.onnx"), card, str(side), model))
    return made


if __name__ == "__main__":
    main([Path(each) for each in sys.argv[1:]])
