"""What a node makes of the answers of archives over HTTP, whatever they are."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event
from typing import Any, ClassVar

import pytest
from nodes import encoded, films, in_background
from service import until

from hilum.dicomweb.peer import Unreachable
from hilum.node.catch_up.dicomweb import DicomWeb
from hilum.node.catch_up.orthanc import Orthanc
from hilum.node.queue import Arrived, Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.rule import Rule
from hilum.node.settings.target import CatchUp, Target
from hilum.node.spool import Spool
from hilum.node.targets.sender import Sender
from hilum.node.targets.stow import Stow
from hilum.node.targets.way import Refused, Store

FAILED = {"00081198": {"vr": "SQ", "Value": [{"00081197": {"vr": "US", "Value": [0]}}]}}


class Answering(BaseHTTPRequestHandler):
    """Answers by path with what stands in `answers`: a status and a content. `asked` is what it was asked."""

    answers: ClassVar[dict[str, tuple[int, Any]]] = {}
    asked: ClassVar[list[tuple[str, bytes]]] = []

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.asked.append((self.path, body))
        found = [answer for path, answer in self.answers.items() if self.path.startswith(path)]
        status, content = found[-1] if found else (404, b"")
        self.send_response(status)
        if isinstance(content, bytes):
            self.send_header("Content-Type", 'multipart/related; type="application/dicom"; boundary=between')
        else:
            content = json.dumps(content).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def url() -> Iterator[str]:
    Answering.answers.clear()
    Answering.asked.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = in_background(server.serve_forever, 0.01)
        yield f"http://127.0.0.1:{server.server_address[1]}/root"
        server.shutdown()
        thread.join()


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    with Queue(tmp_path) as opened:
        yield opened


def failed(reason: int) -> dict[str, Any]:
    made = json.loads(json.dumps(FAILED))
    made["00081198"]["Value"][0]["00081197"]["Value"] = [reason]
    return dict(made)


@contextmanager
def stored(url: str, folder: Path) -> Iterator[None]:
    (folder / "result").write_bytes(b"a result")
    with Stow(Target(name="archive", url=url)).connect("") as store:
        store(folder / "result")
        yield


@pytest.mark.parametrize(
    "answer", [(200, {}), (202, {}), (409, failed(0x0111))], ids=["all", "warned", "there already"]
)
def test_a_result_is_stored_where_the_archive_says_so(url: str, tmp_path: Path, answer: tuple[int, Any]) -> None:
    Answering.answers["/root/studies"] = answer
    with stored(url, tmp_path):
        pass
    ((path, body),) = Answering.asked
    assert path == "/root/studies" and b"\r\n\r\na result\r\n--" in body


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((503, {}), Unreachable),
        ((401, {}), Unreachable),
        ((409, failed(0xA700)), Unreachable),
        ((409, failed(0xC000)), Refused),
        ((409, []), Refused),
        ((202, failed(0xA900)), Refused),
        ((400, {}), Refused),
        ((302, {}), Refused),
    ],
)
def test_and_tried_again_only_where_that_may_help(
    url: str, tmp_path: Path, answer: tuple[int, Any], error: type[Exception]
) -> None:
    Answering.answers["/root/studies"] = answer
    with pytest.raises(error), stored(url, tmp_path):
        pass


class HangsUp:
    """A way whose target hangs up on whoever calls, after a result."""

    def __init__(self) -> None:
        self.calls = 0

    @contextmanager
    def connect(self, asked: str) -> Iterator[Store]:
        self.calls += 1
        stored: list[Path] = []

        def store(path: Path) -> str:
            if stored:
                raise Unreachable("broke the connection off")
            stored.append(path)
            return ""

        yield store


def test_a_connection_stays_open_for_a_moment_and_one_that_broke_meanwhile_is_made_anew(
    queue: Queue, tmp_path: Path
) -> None:
    settings = NodeSettings(spool="", rule=[Rule(shadow=True)])
    sender = Sender(Target(name="archive", url="http://127.0.0.1/"), settings, Spool(tmp_path), queue)
    sender._way = way = HangsUp()
    stopped = Event()
    thread = in_background(sender.run, stopped)
    for number in (1, 2):
        assert queue.add(Arrived(str(number), "digest", "SENDER", "rule"), lambda _: None) == number
        queue.judged(number, ["sr"], ["archive"])
        until(lambda number=number: queue.counts()["done"] == number)
    stopped.set()
    queue.wake()
    thread.join()
    assert way.calls == 2 and sender.failing is None


def test_a_query_finds_films_once_in_studies_that_have_come_to_rest(url: str, queue: Queue) -> None:
    film = encoded(films(1, "1.2.3")[0])
    study: dict[str, Any] = {"0020000D": {"Value": ["1.2.3"]}, "00201208": {"Value": [1]}}
    instance = {"0020000E": {"Value": ["1.2.3.9"]}, "00080018": {"Value": ["1.2.3.1"]}, "00080060": {"Value": ["CR"]}}
    other = instance | {"00080018": {"Value": ["1.2.3.2"]}, "00080060": {"Value": ["CT"]}}
    evil = instance | {"00080018": {"Value": ["../../evil"]}}
    part = b"--between\r\nContent-Type: application/dicom\r\n\r\n" + film + b"\r\n--between--\r\n"
    Answering.answers |= {
        "/root/studies": (200, [study]),
        "/root/studies/1.2.3/instances": (200, [instance, other, evil]),
        "/root/studies/1.2.3/series/1.2.3.9/instances/1.2.3.1": (200, part),
    }
    archive = DicomWeb(CatchUp(title="A", dicomweb=url), queue, "CR".__eq__)
    fetched: list[bytes] = []
    assert not list(archive.missed())  # it may be on its way here just now
    for missed in archive.missed():
        assert missed.fetch(lambda pieces: fetched.append(b"".join(pieces)))
        missed.done()
    assert fetched == [film]
    assert not list(archive.missed())
    study["00201208"]["Value"] = [2]
    assert not list(archive.missed()) and not list(archive.missed())  # the new one is none of ours


def test_a_feed_is_looked_through_once_from_the_first_start_on(url: str, queue: Queue) -> None:
    changes = [{"Seq": 8, "ChangeType": "NewInstance", "ID": "a"}, {"Seq": 9, "ChangeType": "NewInstance", "ID": "b"}]
    Answering.answers |= {
        "/root/changes?last": (200, {"Last": 7, "Changes": []}),
        "/root/changes?since=7": (200, {"Last": 9, "Changes": changes}),
        "/root/instances/a": (200, {"MainDicomTags": {"SOPInstanceUID": "1.2.3.1"}}),
        "/root/instances/a/series": (200, {"MainDicomTags": {"Modality": "CR"}}),
        "/root/instances/a/file": (200, b"a film"),  # and b was deleted meanwhile
    }
    archive = Orthanc(CatchUp(title="A", orthanc=url), queue, "CR".__eq__)
    assert not list(archive.missed())
    Answering.answers["/root/changes?last"] = (200, {"Last": 9, "Changes": []})
    assert not list(archive.missed())
    fetched: list[bytes] = []
    (missed,) = archive.missed()
    assert missed.instance == "1.2.3.1" and missed.fetch(lambda pieces: fetched.append(b"".join(pieces)))
    assert fetched == [b"a film"]
    assert not list(archive.missed())
    assert not list(Orthanc(CatchUp(title="A", orthanc=url), queue, "CR".__eq__).missed())
