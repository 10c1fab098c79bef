"""`hilum predict --out` in one process with threads, in local processes, over Ray with one and two nodes, and the peer:
plain Ray Data around the same network in eager torch, as in Ray's own example for images. Same films, in turns.

Rates are those of the steady state: films between the first tenth and the last part, or batch, by the time
between them; what it takes until then is told apart. Seconds of a core are those of all processes, Ray's own among
them. Medians over the rounds.

    python benchmarks/archive.py [--bundle FILE] [--films N] [--rounds N]
    python benchmarks/archive.py --memory N...      peak memory of the driver for so many films, without a network
"""

from __future__ import annotations

import os
import secrets
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from predict import HERE, REAL, link, networks, run

IN_WARD = 1000
TICK = os.sysconf("SC_CLK_TCK")
NODES = """
import sys
from ray.cluster_utils import Cluster
nodes = int(sys.argv[1])
node = {"num_cpus": int(sys.argv[2]) // nodes, "object_store_memory": 150 << 20, "node_ip_address": "127.0.0.1"}
cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
for _ in range(nodes - 1):
    cluster.add_node(**node)
print(cluster.address, flush=True)
sys.stdin.read()
cluster.shutdown()
"""
THREADS = """
import sys, time
from pathlib import Path
import hilum
films = sorted(Path(sys.argv[2]).iterdir())
asked = hilum.Asked(gate=False, heatmaps=False)
with hilum.load(sys.argv[1]) as model:
    for answer in model.stream(films, asked):
        answer.to_dict()
        print(time.time(), 1, flush=True)
"""
PEER = """
import sys, time
sys.path.insert(0, sys.argv[4])
import ray, ray.data
ray.init(sys.argv[3], log_to_driver=False, logging_level="ERROR")
ray.data.DataContext.get_current().enable_progress_bars = False

class Eager:
    def __init__(self):
        import torch
        sys.path.insert(0, HERE)
        from eager import network
        torch.set_num_threads(1)
        self.torch, self.model = torch, network()
        self.model.load_state_dict(torch.load(WEIGHTS, weights_only=True))

    def __call__(self, batch):
        with self.torch.inference_mode():
            films = self.torch.from_numpy(batch["image"]).permute(0, 3, 1, 2).float() / 255
            self.model(list(films))
        return {"path": batch["path"], "pneumonia": 1 - self.model.backbone.film[:, 0].numpy()}

HERE, WEIGHTS = sys.argv[4], sys.argv[1]
films = ray.data.read_images(sys.argv[2], mode="RGB", size=(256, 256), include_paths=True)
cores = ray.data.ActorPoolStrategy(min_size=1, max_size=int(sys.argv[5]))
judged = films.map_batches(Eager, batch_size=16, compute=cores)
for batch in judged.iter_batches(batch_size=16, prefetch_batches=0):
    print(time.time(), len(batch["path"]), flush=True)
"""


class Rate(NamedTuple):
    """Seconds until the first films were there; from then on films a second, and seconds of a core for a film."""

    start: float
    films: float
    core_seconds: float


class Cores(threading.Thread):
    """What all processes with a mark in their environment have taken of the cores, and when; a cluster's, too."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.taken: list[tuple[float, float]] = []
        self._mark = secrets.token_hex(16)
        os.environ["HILUM_BENCHMARK"] = self._mark
        self._last: dict[str, float] = {}
        self._ended = threading.Event()
        self.start()

    def run(self) -> None:
        while not self._ended.wait(0.25):
            for process in Path("/proc").glob("[0-9]*"):
                with suppress(OSError):
                    # Ray's workers write their titles over it once they run.
                    if process.name in self._last or self._mark.encode() in (process / "environ").read_bytes():
                        fields = (process / "stat").read_text().rpartition(")")[2].split()
                        self._last[process.name] = (int(fields[11]) + int(fields[12])) / TICK
            self.taken.append((time.time(), sum(self._last.values())))

    def between(self, first: float, last: float) -> float:
        """Seconds of a core."""
        self._ended.set()
        self.join()
        inside = [taken for at, taken in self.taken if first <= at <= last]
        return inside[-1] - inside[0]


def main() -> None:
    parser = ArgumentParser(description="Time hilum predict --out against itself and plain Ray Data.")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--films", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--memory", type=int, nargs="+")
    asked = parser.parse_args()
    if asked.memory:
        memory(asked.memory)
        return
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        weights, bundle = networks(folder, asked.bundle)
        films = link(sorted(REAL.rglob("*.jp*g")) or drawn(folder), folder / "films", asked.films)[0].parent
        rates: dict[str, list[Rate]] = {}
        for _ in range(asked.rounds):
            for name, rate in once(folder, films, bundle, weights, cores):
                rates.setdefault(name, []).append(rate)
                print(name, rate, file=sys.stderr, flush=True)
    show(rates)


def drawn(folder: Path) -> list[Path]:
    """Phantoms of the size of films, where there are no real ones."""
    run("-m", "hilum", "data", "phantom", folder / "phantoms", "--count", 24, "--size", 1024)
    return sorted((folder / "phantoms").rglob("*.jp*g"))


def once(folder: Path, films: Path, bundle: Path, weights: Path, cores: int) -> Iterator[tuple[str, Rate]]:
    """Every way, once."""
    ours = [*("-m", "hilum", "predict", str(bundle), str(films), "--no-gate", "--out", str(folder / "results"))]
    yield "one process, threads", timed(["-c", THREADS, str(bundle), str(films)], Cores())
    yield "local processes", of_parts(folder / "results", [*ours, "--processes", str(cores)], Cores())
    for nodes in (1, 2):
        marked = Cores()
        with cluster(nodes, cores) as address:
            yield f"Ray, nodes: {nodes}", of_parts(folder / "results", [*ours, "--ray", address], marked)
    marked = Cores()
    with cluster(1, cores) as address:
        peer = ["-c", PEER, str(weights), str(films), address, str(HERE), str(cores)]
        yield "Ray Data around eager torch", timed(peer, marked)


def timed(command: list[str], cores: Cores) -> Rate:
    """Of a process that prints when it was done with how many films."""
    began = time.time()
    answer = subprocess.run([sys.executable, *command], capture_output=True, text=True, check=True)
    pairs = [line.split() for line in answer.stdout.splitlines()]
    return rate_of(began, [(float(at), int(films)) for at, films in pairs], cores)


def of_parts(results: Path, command: list[str], cores: Cores) -> Rate:
    """Of the parts that a command writes."""
    import polars as pl

    began = time.time()
    subprocess.run([sys.executable, *command], capture_output=True, check=True)
    parts = sorted((path.stat().st_mtime, path) for path in results.glob("rows/*/*.parquet"))
    rate = rate_of(began, [(at, pl.read_parquet(path).height) for at, path in parts], cores)
    shutil.rmtree(results)
    return rate


def rate_of(began: float, done: list[tuple[float, int]], cores: Cores) -> Rate:
    """The steady state begins with a tenth of the films, when all who judge are there."""
    tenth, seen, first = sum(count for _, count in done) / 10, 0, done[0][0]
    films = 0  # since then
    for at, count in done:
        seen += count
        if seen - count < tenth:
            first = at
        else:
            films += count
    last = done[-1][0]
    return Rate(first - began, films / (last - first), cores.between(first, last) / films)


@contextmanager
def cluster(nodes: int, cores: int) -> Iterator[str]:
    """So many nodes on loopback, with a token."""
    os.environ |= {
        **{"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)},
        **{"RAY_USAGE_STATS_ENABLED": "0", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0"},
    }
    command = [sys.executable, "-c", NODES, str(nodes), str(cores)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    with subprocess.Popen(command, text=True, **pipes) as process:  # type: ignore[call-overload]
        yield next(line.strip() for line in process.stdout if line.startswith("127.0.0.1:"))
        process.communicate()


def show(rates: dict[str, list[Rate]]) -> None:
    """Medians, and how they compare: on a busy machine rates do so badly, seconds of a core well."""
    found = {name: Rate(*map(statistics.median, zip(*each, strict=True))) for name, each in rates.items()}
    for name, rate in found.items():
        print(f"{name}: {rate.films:.1f} films/s after {rate.start:.0f} s, {1000 * rate.core_seconds:.0f} ms of a core")
    local, peer = found["local processes"], found["Ray Data around eager torch"]
    for name in ("Ray, nodes: 1", "Ray, nodes: 2"):
        rate = found[name]
        share = rate.films / local.films, local.core_seconds / rate.core_seconds
        times = rate.films / peer.films, peer.core_seconds / rate.core_seconds
        print(f"{name}: efficiency {share[0]:.2f} by films, {share[1]:.2f} by cores (wanted: 0.9)")
        print(f"{name}: {times[0]:.1f} times the peer by films, {times[1]:.1f} by cores (wanted: 4)")


def memory(counts: list[int]) -> None:
    """Small films by hard link, and a network that costs nothing: what is left is what keeping the books takes."""
    sys.path.insert(0, str(HERE.parent / "tests"))
    from bundles import tiny_bundle
    from films import picture, shaded
    from PIL import Image

    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        bundle = tiny_bundle(folder)
        content = picture(Image.fromarray(shaded(16, 16)), "PNG")
        for count in counts:
            films = folder / f"films-{count}"
            for number in range(count):
                ward = films / f"{number // IN_WARD:06}"
                if number % IN_WARD == 0:  # a file may have some 65,000 names
                    ward.mkdir(parents=True)
                    (ward / "0.png").write_bytes(content)
                else:
                    (ward / f"{number % IN_WARD}.png").hardlink_to(ward / "0.png")
            out = folder / f"results-{count}"
            cost = run(*("-m", "hilum", "predict", bundle, films, "--no-gate", "--out", out))
            print(f"{count:,} films: {cost.megabytes:.0f} MB, {count / cost.seconds:,.0f} films/s", flush=True)


if __name__ == "__main__":
    main()
