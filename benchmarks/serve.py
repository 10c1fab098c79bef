"""`hilum serve` against a plain FastAPI handler with eager torch, LitServe, and `Predictor.stream` offline, in one run.

Films go to the servers in turns, from a process of its own, at growing concurrency; the peers run the same network
(serve_plain.py, serve_litserve.py). Throughput and times to the answer depend on what else the machine does; seconds of
a core that all processes of a server take for a film do so less. Errors are answers other than 200, and none.

    python benchmarks/serve.py [--bundle FILE] [--films N] [--slow-films N] [--concurrency 1 4 16]

Without a bundle one is made as recipe `hilum` trains it, with untrained weights; the peer's are untrained in any case.
LitServe is left out where it is not installed (pip install litserve).
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
from argparse import ArgumentParser
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from threading import local
from time import perf_counter, sleep
from typing import NamedTuple

from predict import EAGER_WEIGHTS, HERE, REAL, REAL_DICOM, UNTRAINED_BUNDLE, run

OFFLINE = """
import os, sys
import hilum
model = hilum.load(sys.argv[1])
films = [open(path, "rb").read() for path in sys.argv[3:]]
asked = hilum.Asked(gate=False, heatmaps=False)
list(model.stream(films[:4], asked))
used = os.times()
count = int(sys.argv[2])
for answer in model.stream((films[number % len(films)] for number in range(count)), asked):
    answer.to_dict()
done = os.times()
print((done.user + done.system - used.user - used.system) / count)
"""
ROUNDS = 5
TICK = os.sysconf("SC_CLK_TCK")
BOUNDARY = "------------------------d74496d66958873e"  # as curl's, since parsers take their time by its length


class Load(NamedTuple):
    """What a server did at one concurrency: films a second, times to the answer in seconds, and what it took."""

    rates: list[float]  # of each round
    times: list[float]
    errors: int
    core_seconds: float  # for each film
    megabytes: float

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def median(self) -> float:
        return statistics.median(self.times)

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.times, n=100)[-1]


def together(rounds: list[Load]) -> Load:
    """Rounds of as many films each, as one."""
    return Load(
        [rate for each in rounds for rate in each.rates],
        [seconds for each in rounds for seconds in each.times],
        sum(each.errors for each in rounds),
        statistics.fmean(each.core_seconds for each in rounds),
        max(each.megabytes for each in rounds),
    )


def ratio(ours: Load, peer: Load) -> float:
    """How many times the films a second, in the median of the rounds."""
    return statistics.median(one / other for one, other in zip(ours.rates, peer.rates, strict=True))


def ask(port: int, path: str, concurrency: int, count: int, films: list[str]) -> tuple[float, list[float], int]:
    """Seconds in all, seconds of each answer, and errors; each of the clients keeps its connection."""
    bodies = [form(Path(film).read_bytes()) for film in films]
    mine = local()

    def post(number: int) -> tuple[float, bool]:
        if not hasattr(mine, "connection"):
            mine.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
        began = perf_counter()
        kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
        try:
            mine.connection.request("POST", path, bodies[number % len(bodies)], kind)
            answer = mine.connection.getresponse()
            answer.read()
        except (http.client.HTTPException, OSError) as error:
            print(f"{type(error).__name__}: {error}", file=sys.stderr)
            mine.connection.close()
            return perf_counter() - began, False
        return perf_counter() - began, answer.status == 200

    with ThreadPoolExecutor(concurrency) as clients:
        began = perf_counter()
        answers = list(clients.map(post, range(count)))
    return perf_counter() - began, [seconds for seconds, _ in answers], sum(not good for _, good in answers)


def form(film: bytes) -> bytes:
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="film"; filename="film"\r\n\r\n'
    return head.encode() + film + f"\r\n--{BOUNDARY}--\r\n".encode()


def family(process: int) -> list[int]:
    """A process and all below it."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found = [process]
    for each in found:
        found += [child for child, parent in parents.items() if parent == each]
    return found


def taken(process: int) -> tuple[float, float]:
    """Seconds of a core that a server has taken so far, and the megabytes it holds."""
    seconds = megabytes = 0.0
    for each in family(process):
        try:
            fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
            status = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        seconds += (int(fields[11]) + int(fields[12])) / TICK
        megabytes += int(status.partition("\nPss:")[2].split()[0]) / 1024
    return seconds, megabytes


@contextmanager
def server(port: int, *command: str | Path) -> Iterator[int]:
    """A server's process, once it answers."""
    quiet = subprocess.DEVNULL
    process = subprocess.Popen([sys.executable, *map(str, command)], stdout=quiet, stderr=quiet)
    try:
        while True:
            if process.poll() is not None:
                raise SystemExit(f"failed: {' '.join(map(str, command[:6]))}")
            with socket.socket() as trial:
                if trial.connect_ex(("127.0.0.1", port)) == 0:
                    break
            sleep(0.1)
        yield process.pid
    finally:
        for each in family(process.pid):
            with suppress(ProcessLookupError):
                os.kill(each, 9)
        process.wait()


def load(process: int, port: int, path: str, concurrency: int, count: int, films: list[Path]) -> Load:
    arguments = [str(port), path, str(concurrency), str(count), *map(str, films)]
    before, _ = taken(process)
    answer = output_of(__file__, "--load", *arguments)
    after, megabytes = taken(process)
    seconds, times, errors = json.loads(answer)
    return Load([count / seconds], times, errors, (after - before) / count, megabytes)


def output_of(*command: str | Path) -> str:
    """What a process prints."""
    command = (sys.executable, *map(str, command))
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def compare(films: list[Path], bundle: Path, weights: Path, concurrency: list[int], count: int) -> None:
    """All servers on these films, which take turns, so that other work on the machine meets them alike; the ratios."""
    loads: dict[str, dict[int, Load]] = {}
    commands: dict[str, tuple[str, tuple[str | Path, ...]]] = {
        "hilum serve": ("/v1/predictions?gate=false", ("-m", "hilum", "serve", "--model", bundle, "--port")),
        "FastAPI + torch": ("/predict", (HERE / "serve_plain.py",)),
    }
    if find_spec("litserve") is not None:
        commands["LitServe + ONNX"] = ("/predict", (HERE / "serve_litserve.py",))
    with ExitStack() as running:
        targets = {}
        for name, (path, command) in commands.items():
            port = free_port()
            network: tuple[Path, ...] = () if name == "hilum serve" else (weights if "torch" in name else bundle,)
            process = running.enter_context(server(port, *command, str(port), *network))
            targets[name] = (process, port, path)
            load(process, port, path, max(concurrency), min(max(concurrency), count), films)  # everything is warm now
        for clients in concurrency:
            rounds: dict[str, list[Load]] = {name: [] for name in targets}
            for _ in range(ROUNDS):
                for name, target in targets.items():
                    rounds[name].append(load(*target, clients, count // ROUNDS, films))
            for name, parts in rounds.items():
                got = loads.setdefault(name, {})[clients] = together(parts)
                print(
                    f"{name:16} {clients:3} clients: {got.rate:6.1f} films/s, p50 {1000 * got.median:6.0f} ms, "
                    f"p99 {1000 * got.p99:6.0f} ms, {1000 * got.core_seconds:6.1f} ms of a core a film, "
                    f"{got.megabytes:5.0f} MB, {got.errors} errors",
                    flush=True,
                )
    answer = output_of("-c", OFFLINE, bundle, str(count), *films)
    offline, most = float(answer), max(concurrency)
    ours = loads["hilum serve"][most]
    print(
        f"Predictor.stream: {1000 * offline:.1f} ms of a core a film; hilum serve at {most} clients does "
        f"{offline / ours.core_seconds:.2f} times as much with a second of a core (wanted: 0.9)"
    )
    for name, wanted in (("FastAPI + torch", 5), ("LitServe + ONNX", 1.2)):
        if name in loads:
            peer = loads[name][most]
            print(
                f"against {name} at {most} clients: {ratio(ours, peer):.1f} times the films a second (wanted: "
                f"{wanted:g}), {peer.core_seconds / ours.core_seconds:.1f} times by seconds of a core, "
                f"p99 {ours.p99 / peer.p99:.2f} times as long"
            )


def main() -> None:
    if sys.argv[1:2] == ["--load"]:
        port, path, clients, count, *paths = sys.argv[2:]
        print(json.dumps(ask(int(port), path, int(clients), int(count), paths)))
        return
    parser = ArgumentParser(description="Compare hilum serve with other servers.")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--films", type=int, default=300)
    parser.add_argument("--slow-films", type=int, default=30, help="those in JPEG 2000, at the last concurrency alone")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[1, 4, 16])
    asked = parser.parse_args()
    films = sorted(REAL.rglob("*.jp*g"))
    if not films:
        raise SystemExit(f"{REAL}: no full-size JPEG films there to be sent")
    with tempfile.TemporaryDirectory() as scratch:
        weights, bundle = Path(scratch, "weights.pth"), asked.bundle or Path(scratch, "untrained.onnx")
        run("-c", EAGER_WEIGHTS, weights, HERE)
        if asked.bundle is None:
            run("-c", UNTRAINED_BUNDLE, bundle, HERE)
        print(f"{asked.films} full-size JPEG films")
        compare(films, bundle, weights, asked.concurrency, asked.films)
        print(f"{asked.slow_films} DICOM films in lossless JPEG 2000")
        compare([REAL_DICOM / "RG1_J2KR.dcm"], bundle, weights, asked.concurrency[-1:], asked.slow_films)


if __name__ == "__main__":
    main()
