"""`hilum node` against Orthanc that only passes films on, and a plain pynetdicom handler with eager torch, in one run.

Films of 8.4 MB, made as they are sent, go by C-STORE to each of them, and an archive takes what comes out: reports on
films, from Orthanc the films themselves. First as fast as they go; then at a share of the rate that the plain handler
has reached, the same for all, at moments as modalities send, which do not wait for each other (exponential gaps): of
these the time is told from a sender's last byte to what is stored in the archive. As fast as they go, who answers
before it has judged has films waiting, so a time says how many. All of it runs in a network of its own (unshare):
Orthanc listens to everyone.

    python benchmarks/node.py [--bundle FILE] [--films N] [--senders N] [--paced N] [--share S...]

Without a bundle one is made with untrained weights, as in predict.py; the handler's are untrained in any case.
"""

from __future__ import annotations

import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
from argparse import ArgumentParser, Namespace
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
OURS, PLAIN = "hilum node", "pynetdicom + torch"
PACED_SENDERS = 4  # modalities
BLOCKS = itertools.count(100_000, 100_000)  # numbers of films, so that none is sent twice
PATIENCE = 1800


class Flow(NamedTuple):
    """What went through: films a second to the last result, seconds of each film from its last byte, and what it took.

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
    """A sender: films over one association, at so many a second; prints when the first and last byte of each went."""
    import numpy as np
    from pynetdicom import AE, evt

    rows, columns = np.mgrid[:ROWS, :COLUMNS]
    shaded = (
        2000 + 1500 * np.sin(rows / 300) * np.cos(columns / 250) + np.random.default_rng(0).normal(0, 40, rows.shape)
    )
    pixels = shaded.astype(np.uint16).tobytes()
    entity = AE("SENDER")
    entity.add_requested_context(CR, "1.2.840.10008.1.2.1")
    last = [0.0]
    sent: list[Any] = [(evt.EVT_DATA_SENT, lambda _: last.__setitem__(0, time()))]
    association = entity.associate("127.0.0.1", port, ae_title="HILUM", max_pdu=128 * 1024, evt_handlers=sent)
    assert association.is_established
    gaps = np.random.default_rng(first).exponential(1 / pace, count) if pace else np.zeros(count)
    times, due = {}, time() + np.cumsum(gaps)
    for number in range(count):
        one = film(first + number, pixels)
        sleep(max(0.0, due[number] - time()))
        began = time()
        while association.send_c_store(one).get("Status") != 0:
            sleep(0.5)
        times[one.SOPInstanceUID] = began, last[0]
    association.release()
    print(json.dumps(times))


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
    times: dict[str, tuple[float, float]] = {}
    for one in running:
        times |= json.loads(one.communicate()[0])
    limit = time() + PATIENCE
    while not times.keys() <= archive.arrived.keys() and time() < limit:
        sleep(0.05)
    core_seconds = (taken(process)[0] - before) / len(times)
    over.set()
    watching.join()
    lost = times.keys() - archive.arrived.keys()
    if lost:
        print(f"{len(lost)} films had no result", flush=True)
    seconds = [archive.arrived[uid] - ended for uid, (_, ended) in times.items() if uid in archive.arrived]
    last = max(archive.arrived[uid] for uid in times if uid in archive.arrived)
    return Flow(len(seconds) / (last - min(began for began, _ in times.values())), seconds, core_seconds, most[0])


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
        OURS: (ours, [sys.executable, "-m", "hilum", "node", "NODE.toml"]),
        PLAIN: (plain, [sys.executable, HERE / "node_plain.py", str(plain), str(target), weights]),
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


def compare(asked: Namespace, bundle: Path, weights: Path) -> None:
    """One after the other, as fast as they go and at paces that are the same for all; the ratios."""
    target = free_port()
    archive = Archive(target)
    with tempfile.TemporaryDirectory() as scratch:
        there = commands(Path(scratch), bundle, weights, target)
        fast = each(there, Path(scratch), archive, (asked.films, asked.senders), 0)
        for name, one in fast.items():
            print(
                f"{name:20} {one.rate:5.1f} films/s, {1000 * one.core_seconds:4.0f} ms of a core a film, at most "
                f"{one.megabytes:4.0f} MB; p99 {one.p99:5.2f} s as fast as they go",
                flush=True,
            )
        for name, wanted in (("Orthanc, passing on", "0.6"), (PLAIN, "1.5")):
            if name in fast:
                print(f"against {name}: {fast[OURS].rate / fast[name].rate:.2f} times the films (wanted: {wanted})")
        for share in asked.share:
            pace = share * fast[PLAIN].rate
            slow = each(there, Path(scratch), archive, (asked.paced, PACED_SENDERS), pace)
            for name, one in slow.items():
                p50 = statistics.median(one.seconds)
                print(f"{name:20} at {pace:.1f} films/s: p50 {p50:5.2f} s, p99 {one.p99:5.2f} s")
            times = slow[OURS].p99 / slow[PLAIN].p99
            print(f"at {share:g} of the rate of {PLAIN}: p99 {times:.2f} times as long (wanted: 0.5)", flush=True)


def each(
    there: dict[str, tuple[int, list[str | Path]]], folder: Path, archive: Archive, sent: tuple[int, int], pace: float
) -> dict[str, Flow]:
    """What goes through each of them, of so many films from so many senders."""
    found = {}
    films, senders = sent
    for name, (port, command) in there.items():
        with started(port, folder, *command) as process:
            begin = next(BLOCKS)
            flow(process, port, archive, range(begin, begin + 2 * senders), senders)  # everything is warm now
            found[name] = flow(process, port, archive, range(begin + 1000, begin + 1000 + films), senders, pace)
    return found


def main() -> None:
    if sys.argv[1:2] == ["--send"]:
        port, first, count, pace = sys.argv[2:]
        send(int(port), int(first), int(count), float(pace))
        return
    parser = ArgumentParser(description="Compare hilum node with others that take films by C-STORE.")
    parser.add_argument("--bundle", type=Path)
    parser.add_argument("--films", type=int, default=100, help="as fast as they go; 500 for the whole")
    parser.add_argument("--senders", type=int, default=2)
    parser.add_argument("--paced", type=int, default=100, help="films at each pace")
    parser.add_argument("--share", type=float, nargs="*", default=[0.7, 0.9], help="of the plain handler's rate")
    asked = parser.parse_args()
    if INSIDE not in os.environ:
        os.execvpe(ALONE[0], [*ALONE, sys.executable, *sys.argv], os.environ | {INSIDE: "1"})
    with tempfile.TemporaryDirectory() as scratch:
        weights, bundle = Path(scratch, "weights.pth"), asked.bundle or Path(scratch, "untrained.onnx")
        run("-c", EAGER_WEIGHTS, weights, HERE)
        if asked.bundle is None:
            run("-c", UNTRAINED_BUNDLE, bundle, HERE)
        compare(asked, bundle.absolute(), weights)


if __name__ == "__main__":
    main()
