"""A DICOM node started as a user starts it, archives that take its results, and senders of films."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from conftest import PATIENCE
from films import shaded
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian
from pynetdicom import AE, evt
from pynetdicom.transport import AssociationSocket
from service import until
from test_dicom_results import film

from hilum.node.dimse.bounds import close_socket
from hilum.node.queue import DONE, Queue
from hilum.node.targets.cstore import RESULTS

CR = "1.2.840.10008.5.1.4.1.1.1"
RULE = {"to": ["archive"], "results": ["sr"]}
AssociationSocket._shutdown_socket = close_socket  # type: ignore[assignment,method-assign]  # pynetdicom leaves some open


def films(count: int, study: str = "1.2.3", **elements: Any) -> list[Dataset]:
    """Films of one study, each another one."""
    made = []
    for number in range(count):
        one = film(shaded(64, 64).astype(np.uint16) + number, SOPInstanceUID=f"{study}.{number + 1}", **elements)
        one.StudyInstanceUID, one.SeriesInstanceUID = study, f"{study}.9"
        one.file_meta.MediaStorageSOPInstanceUID = one.SOPInstanceUID
        made.append(one)
    return made


class Archive:
    """An archive on a port of this machine: what it was sent, in order. `status` is what it answers."""

    def __init__(self) -> None:
        self.stored: list[Dataset] = []
        self.status = 0x0000
        self.port = free_port()
        self._server: Any = None

    @property
    def instances(self) -> list[str]:
        return [str(result.SOPInstanceUID) for result in self.stored]

    def start(self, context: Any = None) -> None:
        entity = AE("ARCHIVE")
        for kind in RESULTS:
            entity.add_supported_context(kind, ExplicitVRLittleEndian)
        self._server = entity.start_server(
            ("127.0.0.1", self.port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)], ssl_context=context
        )

    def stop(self) -> None:
        if self._server is not None:
            self._server.ae.shutdown()
            self._server = None

    def _store(self, event: Any) -> int:
        if self.status == 0:
            result = event.dataset
            result.file_meta = event.file_meta
            self.stored.append(result)
        return self.status


@contextmanager
def archive() -> Iterator[Archive]:
    made = Archive()
    made.start()
    try:
        yield made
    finally:
        made.stop()


class Node:
    """`hilum node` with settings of its own, which may be killed and started again."""

    def __init__(self, folder: Path, bundle: Path, target: int, settings: str = "", *rules: dict[str, Any]) -> None:
        self.folder = folder
        self.port = free_port()
        self.spool = folder / "spool"
        self.settings = folder / "NODE.toml"
        self.log = folder / "node.log"
        self._process: subprocess.Popen[bytes] | None = None
        lines = ["spool = 'spool'", f"port = {self.port}", "processes = 1", "idle_seconds = 5", settings]
        lines += ["[[target]]", "name = 'archive'", "title = 'ARCHIVE'", "host = '127.0.0.1'", f"port = {target}"]
        for rule in rules or ({},):
            values = RULE | {"model": str(bundle)} | rule
            lines += ["[[rule]]", *(f"{key} = {_toml(value)}" for key, value in values.items())]
        self.settings.write_text("\n".join(lines))

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        command = [sys.executable, "-m", "hilum", "node", str(self.settings)]
        heard = self.printed.count(" listens on ")
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        until(lambda: self.printed.count(" listens on ") > heard or self.process.poll() is not None)
        assert self.process.poll() is None, self.printed

    def stop(self, how: int = signal.SIGTERM) -> int:
        self.process.send_signal(how)
        return self.process.wait(PATIENCE)

    @property
    def printed(self) -> str:
        return self.log.read_text() if self.log.exists() else ""

    def counts(self) -> dict[str, int]:
        with Queue(self.spool) as queue:
            return queue.counts()

    def until_done(self, count: int) -> None:
        until(lambda: self.counts()[DONE] == count)

    def dead(self) -> list[str]:
        with Queue(self.spool) as queue:
            return [letter.reason for letter in queue.dead_letters()]

    def send(self, sent: Sequence[Dataset], caller: str = "SENDER", **how: Any) -> list[int | None]:
        """The status of each film; None where the node did not answer."""
        return send(self.port, sent, caller, **how)

    def left(self) -> list[str]:
        """What lies in the spool beside its databases."""
        return sorted(
            str(path.relative_to(self.spool)) for path in self.spool.rglob("*.*") if ".sqlite" not in path.name
        )


@contextmanager
def running(node: Node) -> Iterator[Node]:
    node.start()
    try:
        yield node
    finally:
        if node.process.poll() is None:
            node.stop(signal.SIGKILL)


def send(
    port: int, sent: Sequence[Dataset], caller: str = "SENDER", called: str = "HILUM", **how: Any
) -> list[int | None]:
    entity = AE(caller)
    entity.acse_timeout = entity.dimse_timeout = entity.network_timeout = 30
    for kind in dict.fromkeys([CR, *(one.SOPClassUID for one in sent)]):
        entity.add_requested_context(kind, ExplicitVRLittleEndian)
    association = entity.associate("127.0.0.1", port, ae_title=called, **how)
    if not association.is_established:
        return [None for _ in sent]
    statuses: list[int | None] = []
    for one in sent:
        try:
            status = association.send_c_store(one)
        except RuntimeError:
            status = Dataset()
        statuses.append(status.get("Status"))
    if association.is_established:
        association.release()
    return statuses


def encoded(one: Dataset) -> bytes:
    content = BytesIO()
    one.save_as(content, enforce_file_format=True)
    return content.getvalue()


def decoded(content: bytes) -> Dataset:
    return dcmread(BytesIO(content))


def free_port() -> int:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return int(taken.getsockname()[1])


def resident(process: int) -> int:
    """Bytes of memory that a process has."""
    pages = Path(f"/proc/{process}/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


def in_background(call: Any, *arguments: Any) -> threading.Thread:
    thread = threading.Thread(target=call, args=arguments)
    thread.start()
    return thread


def _toml(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else repr(value)
