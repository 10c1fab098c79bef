"""`hilum node` against Orthanc that only passes films on, and a plain pynetdicom handler with eager torch, in one run.

Films of 8.4 MB go by C-STORE to each of them, and an archive takes what comes out: reports on films, from Orthanc the
films themselves. First as fast as they go, then at a pace that all can keep, where the time from a sender's first byte
to what is stored in the archive is told. All of it runs in a network of its own (unshare): Orthanc listens to everyone.

    python benchmarks/node.py [--bundle FILE] [--films N] [--senders N] [--paced N]

Without a bundle one is made with untrained weights, as in predict.py; the handler's are untrained in any case.
"""

from __future__ import annotations

import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import sleep, time
from typing import Any, NamedTuple

from predict import EAGER_WEIGHTS, HERE, UNTRAINED_BUNDLE, run
from serve import family, free_port, taken

CR = "1.2.840.10008.5.1.4.1.1.1"
REPORTS = ["1.2.840.10008.5.1.4.1.1.88.11", "1.2.840.10008.5.1.4.1.1.88.34"]
ROWS, COLUMNS = 2140, 1960
ALONE, INSIDE = ["unshare", "-rn", "sh", "-c", 'ip link set lo up && exec "$@"', "alone"], "HILUM_BENCHMARK_ALONE"
LUA = "function OnStoredInstance(id, tags, metadata) SendToModality(id, 'archive') end"
SHARE_OF_PACE = 0.6  # of the slowest one's films a second
PATIENCE = 1800


class Flow(NamedTuple):
    """What went through: films a second to the last result, seconds of each film, and what it took.

    Films a second and times depend on what else the machine does; seconds of a core for a film do so less.
    """

    rate: float
    seconds: list[float]
    core_seconds: float
    megabytes: float

    @property
    def p99(self) -> float:
        return statistics.quantiles(self.seconds, n=100)[-1]


def film(number: int, pixels: bytes) -> Any:
    """One film among many of as many studies."""
    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.uid import ExplicitVRLittleEndian

    made = Dataset()
    made.file_meta = FileMetaDataset()
    made.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    made.SOPClassUID, made.SOPInstanceUID = CR, f"1.2.3.{number}.1"
    made.StudyInstanceUID, made.SeriesInstanceUID = f"1.2.3.{number}", f"1.2.3.{number}.2"
    made.PatientName = made.PatientID = made.StudyID = made.AccessionNumber = made.ReferringPhysicianName = ""
    made.PatientBirthDate = made.PatientSex = made.StudyDate = made.StudyTime = made.Laterality = ""
    made.Modality, made.PatientOrientation, made.PhotometricInterpretation = "CR", "L\\F", "MONOCHROME2"
    made.Rows, made.Columns, made.SamplesPerPixel = ROWS, COLUMNS, 1
    made.BitsAllocated, made.BitsStored, made.HighBit, made.PixelRepresentation = 16, 12, 11, 0
    made.PixelData = pixels
    return made


def send(port: int, first: int, count: int, pace: float) -> None:
    """A sender: films over one association, at so many a second at most; prints when each began."""
    import numpy as np
    from pynetdicom import AE

    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    shaded = (
        2000 + 1500 * np.sin(rows / 300) * np.cos(columns / 250) + np.random.default_rng(0).normal(0, 40, rows.shape)
    )
    pixels = shaded.astype(np.uint16).tobytes()
    entity = AE("SENDER")
    entity.add_requested_context(CR, "1.2.840.10008.1.2.1")
    association = entity.associate("127.0.0.1", port, ae_title="HILUM", max_pdu=128 * 1024)
    assert association.is_established
    begun, start = {}, time()
    for number in range(count):
        if pace:
            sleep(max(0.0, start + number / pace - time()))
        one = film(first + number, pixels)
        begun[one.SOPInstanceUID] = time()
        while association.send_c_store(one).get("Status") != 0:
            sleep(0.5)
    association.release()
    print(json.dumps(begun))


class Archive:
    """Takes what comes out, and when the first result of each film came."""

    def __init__(self, port: int) -> None:
        from pynetdicom import AE, evt

        self.arrived: dict[str, float] = {}
        entity = AE("ARCHIVE")
        entity.maximum_pdu_size = 128 * 1024
        for kind in (CR, *REPORTS):
            entity.add_supported_context(kind, "1.2.840.10008.1.2.1")
        entity.start_server(("127.0.0.1", port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)])

    def _store(self, event: Any) -> int:
        film = event.request.AffectedSOPInstanceUID
        if event.request.AffectedSOPClassUID != CR:
            study = event.dataset.CurrentRequestedProcedureEvidenceSequence[0]
            film = study.ReferencedSeriesSequence[0].ReferencedSOPSequence[0].ReferencedSOPInstanceUID
        self.arrived.setdefault(str(film), time())
        return 0


def flow(process: int, port: int, archive: Archive, films: range, senders: int, pace: float = 0) -> Flow:
    """Send films and wait for what comes of the last one."""
    share = len(films) // senders
    commands = [
        [sys.executable, __file__, "--send", str(port), str(films[number * share]), str(share), str(pace / senders)]
        for number in range(senders)
    ]
    most, over = [0.0], threading.Event()

    def watch() -> None:
        while not over.wait(0.5):
            most[0] = max(most[0], taken(process)[1])

    watching = threading.Thread(target=watch)
    before, _ = taken(process)
    watching.start()
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for command in commands]
    begun: dict[str, float] = {}
    for one in running:
        begun |= json.loads(one.communicate()[0])
    limit = time() + PATIENCE
    while not begun.keys() <= archive.arrived.keys() and time() < limit:
        sleep(0.05)
    core_seconds = (taken(process)[0] - before) / len(begun)
    over.set()
    watching.join()
    lost = begun.keys() - archive.arrived.keys()
    if lost:
        print(f"{len(lost)} films had no result", flush=True)
    seconds = [archive.arrived[uid] - start for uid, start in begun.items() if uid in archive.arrived]
    last = max(archive.arrived[uid] for uid in begun if uid in archive.arrived)
    return Flow(len(seconds) / (last - min(begun.values())), seconds, core_seconds, most[0])


@contextmanager
def started(port: int, folder: Path, *command: str | Path) -> Iterator[int]:
    """A process, once it takes associations."""
    from pynetdicom import AE

    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log, cwd=folder)
        entity = AE("SENDER")
        entity.add_requested_context(CR)
        try:
            while True:
                if process.poll() is not None:
                    raise SystemExit(f"failed: {' '.join(map(str, command))}\n{(folder / 'log').read_text()[-2000:]}")
                association = entity.associate("127.0.0.1", port, ae_title="HILUM")
                if association.is_established:
                    association.release()
                    break
                sleep(0.3)
            yield process.pid
        finally:
            for each in family(process.pid):
                os.kill(each, 9)
            process.wait()


def commands(folder: Path, bundle: Path, weights: Path, target: int) -> dict[str, tuple[int, list[str | Path]]]:
    """How each of them is started, and on which port."""
    ours, plain, passing = free_port(), free_port(), free_port()
    (folder / "NODE.toml").write_text(
        f"spool = 'spool'\nport = {ours}\ntarget = [{{ name = 'archive', title = 'ARCHIVE', host = '127.0.0.1', "
        f"port = {target} }}]\nrule = [{{ to = ['archive'], model = '{bundle}' }}]\n"
    )
    found: dict[str, tuple[int, list[str | Path]]] = {
        "hilum node": (ours, [sys.executable, "-m", "hilum", "node", "NODE.toml"]),
        "pynetdicom + torch": (plain, [sys.executable, HERE / "node_plain.py", str(plain), str(target), weights]),
    }
    orthanc = shutil.which("Orthanc") or shutil.which("Orthanc", path="/usr/sbin")
    if orthanc is not None:
        (folder / "pass.lua").write_text(LUA)
        settings: dict[str, Any] = {"DicomAet": "HILUM", "DicomPort": passing, "HttpServerEnabled": False}
        settings |= {"DicomModalities": {"archive": ["ARCHIVE", "127.0.0.1", target]}, "LuaScripts": ["pass.lua"]}
        settings |= {"StorageDirectory": str(folder / "db"), "IndexDirectory": str(folder / "db")}
        settings |= {"DicomAlwaysAllowStore": True, "DicomAlwaysAllowEcho": True}
        (folder / "orthanc.json").write_text(json.dumps(settings))
        found["Orthanc, passing on"] = (passing, [orthanc, "orthanc.json"])
    return found


def compare(bundle: Path, weights: Path, films: int, senders: int, paced: int) -> None:
    """One after the other, as fast as they go and at a pace that all keep; the ratios."""
    target = free_port()
    archive = Archive(target)
    fast: dict[str, Flow] = {}
    slow: dict[str, Flow] = {}
    with tempfile.TemporaryDirectory() as scratch:
        there = commands(Path(scratch), bundle, weights, target)
        for number, (name, (port, command)) in enumerate(there.items()):
            with started(port, Path(scratch), *command) as process:
                begin = 100_000 * (number + 1)
                flow(process, port, archive, range(begin, begin + 2 * senders), senders)  # everything is warm now
                begin += 1000
                fast[name] = flow(process, port, archive, range(begin, begin + films), senders)
        pace = SHARE_OF_PACE * min(one.rate for one in fast.values())
        for number, (name, (port, command)) in enumerate(there.items()):
            with started(port, Path(scratch), *command) as process:
                begin = 100_000 * (number + 1) + 50_000
                flow(process, port, archive, range(begin, begin + 2 * senders), senders)
                begin += 1000
                slow[name] = flow(process, port, archive, range(begin, begin + paced), 1, pace)
    for name in there:
        one, other = fast[name], slow[name]
        print(
            f"{name:20} {one.rate:5.1f} films/s, {1000 * one.core_seconds:4.0f} ms of a core a film, at most "
            f"{one.megabytes:4.0f} MB; at {pace:.1f} films/s p50 "
            f"{statistics.median(other.seconds):5.2f} s, p99 {other.p99:5.2f} s"
        )
    ours = "hilum node"
    for name, wanted in (("Orthanc, passing on", "0.6"), ("pynetdicom + torch", "1.5, and half its p99")):
        if name in fast:
            rate, p99 = fast[ours].rate / fast[name].rate, slow[ours].p99 / slow[name].p99
            print(
                f"against {name}: {rate:.2f} times the films a second (wanted: {wanted}), p99 {p99:.2f} times as long"
            )


def main() -> None:
    if sys.argv[1:2] == ["--send"]:
        port, first, count, pace = sys.argv[2:]
        send(int(port), int(first), int(count), float(pace))
        return
    parser = ArgumentParser(description="Compare hilum node with others that take films by C-STORE.")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--films", type=int, default=100, help="as fast as they go")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--paced", type=int, default=60, help="films at a pace that all keep")
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        os.execvpe(ALONE[0], [*ALONE, sys.executable, *sys.argv], os.environ | {INSIDE: "1"})
    with tempfile.TemporaryDirectory() as scratch:
        weights, bundle = Path(scratch, "weights.pth"), asked.bundle or Path(scratch, "untrained.onnx")
        run("-c", EAGER_WEIGHTS, weights, HERE)
        if asked.bundle is None:
            run("-c", UNTRAINED_BUNDLE, bundle, HERE)
        compare(bundle.absolute(), weights, asked.films, asked.senders, asked.paced)


if __name__ == "__main__":
    main()
