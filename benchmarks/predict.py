"""`hilum predict` against the same network in eager torch, timm and torchvision (`benchmarks/eager.py`), in one run.

Whole processes from the shell's point of view, alternating, medians over the rounds: a single film (cold start),
1,000 full-size JPEG films, 200 DICOM films and 20 in JPEG 2000, decoding included, with the peak memory of each; then
what one call costs the processor beside other bundles together, and what the heatmap costs. Peak memory is that of the
process that runs the network; the peer's DataLoader has two more.

    python benchmarks/predict.py [--bundle FILE] [--against FILE FILE] [--jpeg N] [--dicom N] [--rounds N]

Without a bundle one is made as recipe `hilum` trains it, with untrained weights and no gate. Then every anchor is
likely enough for hilum to tell it from its neighbors and none for the peer, so the peer has less to do. The peer's
weights are untrained in any case.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

import data_store

HERE = Path(__file__).parent
REAL = HERE.parents[1] / "shared" / "data" / "kermany-original" / "train"
REAL_DICOM = Path(data_store.__file__).parent / "data"
DRAWN = 24
BARE = "import numpy, onnxruntime, PIL"
EAGER_WEIGHTS = """
import sys, torch
sys.path.insert(0, sys.argv[2])
from eager import network
torch.manual_seed(0)
torch.save(network().state_dict(), sys.argv[1])
"""
UNTRAINED_BUNDLE = """
import sys
from pathlib import Path
sys.path.insert(0, str(Path(sys.argv[2]).parent / "tests"))
from bundles import group_card, tiny_card
from hilum.export.graph.as_onnx import as_onnx
from hilum.bundle.card import BoxCard
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.joining import Joining
from hilum.bundle.onnx_file import write_metadata
from hilum.export.graph.suppression import suppress_in_graph
from hilum.radiograph.geometry import Geometry
from hilum.radiograph.patient import PATIENTS
from hilum.training.prepare import network_of
from hilum.training.recipe import load_recipe
recipe = load_recipe("hilum")
classes = list(recipe.classes)
joining = Joining([0.3, 0.3, 0.3, 0.3], 0.0, [0.0, 0.0], {})
fits = [FilmFit(UNCALIBRATED, joining, patient) for patient in PATIENTS]
graph = Graph(network_of(recipe, "none").eval(), Fitted(fits, [2, 3], [1.0, 0.0, 0.0]))
boxes = BoxCard(0.2, nms_overlap=0.3, shrinkage=0.9, most=50, calibration=[1.0, 0.0, 0.0], figures={})
card = tiny_card(
    Geometry("squash", *graph.input_size), gate=None, title="recipe hilum, untrained", task="detection", boxes=boxes,
    heatmap=graph.heatmap, classes=classes, positive=classes[2:], calibration=None, operating_points=[],
    groups=[group_card(patient, 0.5, tells_kinds=True) for patient in PATIENTS],
)
model = suppress_in_graph(as_onnx(graph), boxes)
Path(sys.argv[1]).write_bytes(write_metadata(model.SerializeToString(), card))
"""
# One film at a time in one thread, alternating; by the processor's clock, which other work on the machine leaves alone.
SECONDS_OF_ONE_CALL = """
import sys, time, statistics
import numpy as np
import hilum
models = [hilum.load(path, threads=1) for path in sys.argv[1:]]
sizes = [(1, model.card.geometry.height, model.card.geometry.width) for model in models]
films = [np.random.default_rng(1).integers(0, 256, size, np.uint8) for size in sizes]
seconds = [[] for _ in models]
for _ in range(41):
    for model, film, taken in zip(models, films, seconds):
        start = time.process_time()
        model.run(film)
        taken.append(time.process_time() - start)
print(*(statistics.median(taken[1:]) for taken in seconds))
"""
WITHOUT_HEATMAPS = """
import sys, onnx
from dataclasses import replace
from pathlib import Path
from hilum.bundle.onnx_file import read_card, write_metadata
model = onnx.load(sys.argv[1])
kept = [output for output in model.graph.output if output.name != "heatmaps"]
del model.graph.output[:]
model.graph.output.extend(kept)
card = replace(read_card(sys.argv[1]), heatmap="none: left out to be measured")
Path(sys.argv[2]).write_bytes(write_metadata(model.SerializeToString(), card))
"""
# Alternating, so that both see the same machine.
HEATMAP_SECONDS = """
import sys, time, statistics
import numpy as np
import hilum
models = [hilum.load(path, threads=1) for path in sys.argv[1:]]
geometry = models[0].card.geometry
films = np.random.default_rng(1).integers(0, 256, (8, geometry.height, geometry.width), np.uint8)
seconds = [[], []]
for _ in range(21):
    for model, taken in zip(models, seconds):
        start = time.perf_counter()
        model.run(films)
        taken.append(time.perf_counter() - start)
print(*(statistics.median(taken[1:]) / len(films) for taken in seconds))
"""


class Cost(NamedTuple):
    seconds: float
    megabytes: float


def run(*command: str | Path | int) -> Cost:
    """Time and peak memory of a process. This one imports little, for a child starts with its parent's peak."""
    start = perf_counter()
    process = subprocess.Popen(
        [sys.executable, *map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    _, status, usage = os.wait4(process.pid, 0)
    seconds = perf_counter() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"failed: {' '.join(map(str, command[:6]))}")
    return Cost(seconds, usage.ru_maxrss / 1024)


def numbers_of(*command: str | Path) -> list[float]:
    """The numbers that a process prints."""
    answer = subprocess.run([sys.executable, *map(str, command)], capture_output=True, text=True, check=True)
    return [float(word) for word in answer.stdout.split()]


def compare(rounds: int, **commands: tuple[str | Path, ...]) -> dict[str, Cost]:
    """Medians over the rounds, the commands taking turns after one round that warms the disk cache."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, command in commands.items():
            cost = run(*command)
            if number:
                costs[name].append(cost)
    return {name: Cost(*map(statistics.median, zip(*taken, strict=True))) for name, taken in costs.items()}


def link(sources: list[Path], folder: Path, count: int) -> list[Path]:
    folder.mkdir()
    links = [folder / f"{number:05}{sources[number % len(sources)].suffix}" for number in range(count)]
    for number, path in enumerate(links):
        path.symlink_to(sources[number % len(sources)])
    return links


def dicom_films(folder: Path) -> list[Path]:
    """As in the RSNA challenge and off a detector: phantoms as JPEG and as 12-bit pixels, and a real 15-bit film."""
    run("-m", "hilum", "data", "phantom", folder, "--count", DRAWN, "--layout", "rsna", "--size", 1536)
    return [*sorted(folder.rglob("*.dcm")), REAL_DICOM / "RG1_UNCR.dcm"]


def show_pair(what: str, costs: dict[str, Cost], films: int, target: float) -> None:
    ours, eager = costs["hilum"], costs["eager"]
    ratio = eager.seconds / ours.seconds
    rate = f", {films / ours.seconds:.0f} and {films / eager.seconds:.0f} films/s" if films > 1 else ""
    print(
        f"{what}: hilum {ours.seconds:.2f} s, eager torch {eager.seconds:.2f} s{rate}: {ratio:.1f} times as fast "
        f"(wanted: {target:g}); peak memory {ours.megabytes:.0f} and {eager.megabytes:.0f} MB",
        flush=True,
    )


def show_cost(what: str, without: float, with_it: float, wanted: str = "") -> None:
    print(f"{what}: {1000 * without:.2f} -> {1000 * with_it:.2f} ms a film, {with_it / without - 1:+.1%}{wanted}")


def networks(folder: Path, bundle: Path | None) -> tuple[Path, Path]:
    """Weights of the peer's network, and the bundle that was named or an untrained one."""
    weights = folder / "weights.pth"
    run("-c", EAGER_WEIGHTS, weights, HERE)
    if bundle is None:
        bundle = folder / "untrained.onnx"
        run("-c", UNTRAINED_BUNDLE, bundle, HERE)
    return weights, bundle


def main() -> None:
    parser = ArgumentParser(description="Time hilum predict against eager torch.")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--against", type=Path, nargs="*", default=[])
    parser.add_argument("--jpeg", type=int, default=1000)
    parser.add_argument("--dicom", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=5)
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        weights, bundle = networks(folder, asked.bundle)
        films = link(sorted(REAL.rglob("*.jp*g")), folder / "jpeg", asked.jpeg)
        dicoms = link(dicom_films(folder / "phantoms"), folder / "dicom", asked.dicom)
        wavelets = link([REAL_DICOM / "RG1_J2KR.dcm"], folder / "wavelets", max(asked.dicom // 10, 2))
        hilum: tuple[str | Path, ...] = ("-m", "hilum", "predict", "--no-gate", "--model", bundle)
        eager: tuple[str | Path, ...] = (HERE / "eager.py", weights)

        cold = compare(asked.rounds, hilum=(*hilum, films[0]), eager=(*eager, films[0]), bare=("-c", BARE))
        show_pair("one film, whole process", cold, 1, 10)
        bare = cold["bare"].seconds
        print(
            f"python -c {BARE!r}: {bare:.2f} s; hilum takes {cold['hilum'].seconds / bare:.2f} times that (wanted: < 3)"
        )
        for what, paths in (
            ("full-size JPEG films", films),
            ("DICOM films", dicoms),
            ("DICOM films in lossless JPEG 2000", wavelets),
        ):
            costs = compare(asked.rounds, hilum=(*hilum, paths[0].parent), eager=(*eager, *paths))
            show_pair(f"{len(paths):,} {what}", costs, len(paths), 3)

        ours, *others = numbers_of("-c", SECONDS_OF_ONE_CALL, bundle, *asked.against)
        print(f"one call of the network: {1000 * ours:.1f} ms of the processor", end="")
        print(
            f"; {', '.join(path.name for path in asked.against)} together: {1000 * sum(others):.1f} ms"
            if others
            else ""
        )
        run("-c", WITHOUT_HEATMAPS, bundle, folder / "without.onnx")
        with_maps, without = numbers_of("-c", HEATMAP_SECONDS, bundle, folder / "without.onnx")
        show_cost("heatmap", without, with_maps, " (wanted: 5%)")
        try:
            plain, explained = numbers_of(HERE / "eager.py", "--gradcam")
            show_cost("pytorch-grad-cam", plain, explained)
        except subprocess.CalledProcessError:
            print("pytorch-grad-cam is not installed (pip install grad-cam)")


if __name__ == "__main__":
    main()
