"""`hilum predict` with a detector against the same detector in eager torchvision (`benchmarks/eager_detect.py`).

Whole processes from the shell's point of view, alternating, medians over the rounds: a single film (cold start) and 200
DICOM films, decoding included, with the peak memory of each. Peak memory is that of the process that runs the network;
the peer's DataLoader has two more.

    python benchmarks/detect.py [--bundle FILE] [--films N] [--rounds N]

Without a bundle one is made as `recipes/boxes.toml` trains it, with untrained weights. Then every anchor is likely
enough for hilum to tell it from its neighbors and none for the peer, so the peer has less to do. The peer's weights are
untrained in any case.
"""

from __future__ import annotations

import tempfile
from argparse import ArgumentParser
from pathlib import Path

from predict import HERE, compare, dicom_films, link, run, show_pair

EAGER_WEIGHTS = """
import sys, torch
sys.path.insert(0, sys.argv[2])
from eager_detect import network
torch.manual_seed(0)
torch.save(network().state_dict(), sys.argv[1])
"""
UNTRAINED_BUNDLE = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2]).parent / "tests"))
from bundles import tiny_card
from hilum.export.graph.as_onnx import as_onnx
from hilum.bundle.card import BoxCard
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.graph import Fitted, Graph
from hilum.bundle.onnx_file import write_metadata
from hilum.export.graph.suppression import suppress_in_graph
from hilum.network.network import Heads, create_network
from hilum.network.heads.pyramid import Pyramid
from hilum.radiograph.geometry import Geometry
boxes = BoxCard(0.2, nms_overlap=0.3, shrinkage=0.9, most=50, calibration=[1.0, 0.0, 0.0], figures={})
card = tiny_card(
    Geometry("squash", 256, 256), gate=None, title="EfficientNet-Lite0 with boxes, untrained", task="detection",
    boxes=boxes, heatmap="none: it draws boxes instead",
)
network = create_network("efficientnet_lite0", 2, "none", heads=Heads(Pyramid()), input_size=(256, 256), seed=0)
model = suppress_in_graph(as_onnx(Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1], boxes.calibration))), boxes)
Path(sys.argv[1]).write_bytes(write_metadata(model.SerializeToString(), card))
"""


def main() -> None:
    parser = ArgumentParser(description="Time hilum predict with a detector against eager torchvision.")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--films", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        weights, bundle = folder / "weights.pth", asked.bundle or folder / "untrained.onnx"
        run("-c", EAGER_WEIGHTS, weights, HERE)
        if asked.bundle is None:
            run("-c", UNTRAINED_BUNDLE, bundle, HERE)
        films = link(dicom_films(folder / "phantoms"), folder / "dicom", asked.films)
        hilum: tuple[str | Path, ...] = ("-m", "hilum", "predict", "--no-gate", "--model", bundle)
        eager: tuple[str | Path, ...] = (HERE / "eager_detect.py", weights)

        cold = compare(asked.rounds, hilum=(*hilum, films[0]), eager=(*eager, films[0]))
        show_pair("boxes of one film, whole process", cold, 1, 2)
        costs = compare(asked.rounds, hilum=(*hilum, films[0].parent), eager=(*eager, *films))
        show_pair(f"boxes of {len(films):,} DICOM films", costs, len(films), 2)


if __name__ == "__main__":
    main()
