"""The node over HTTP: films come in by STOW-RS, and whoever watches it learns how it is but not whose films it has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from bundles import tiny_detection_bundle
from commands import run
from drifting import bundle_of_noise
from nodes import Archive, Node, archive, encoded, films, free_port, running
from prometheus_client.parser import text_string_to_metric_families
from service import Calling, Reply, until
from test_dicom_results import NAME

TYPE = 'multipart/related; type="application/dicom"; boundary=between'


class Web(Calling):
    """Requests to a node."""

    def __init__(self, node: Node, port: int) -> None:
        super().__init__(port)
        self.node = node

    def store(self, *parts: bytes, study: str = "", kind: str = TYPE, end: bytes = b"--between--\r\n") -> Reply:
        head = b"--between\r\nContent-Type: application/dicom\r\n\r\n"
        content = b"".join(head + part + b"\r\n" for part in parts) + end
        return self.ask("POST", f"/dicom-web/studies{study}", content, {"Content-Type": kind})

    def figures(self) -> dict[str, float]:
        families = text_string_to_metric_families(self.ask("GET", "/metrics").content.decode())
        samples = [sample for family in families for sample in family.samples]
        return {" ".join([one.name, *one.labels.values()]): one.value for one in samples}


@pytest.fixture(scope="module")
def target() -> Iterator[Archive]:
    with archive() as made:
        yield made


@pytest.fixture(scope="module")
def web(target: Archive, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    folder = tmp_path_factory.mktemp("node")
    port = free_port()
    settings = f"max_megabytes = 1\nhttp = {{ port = {port} }}"
    with running(Node(folder, bundle_of_noise(folder), target.port, settings)) as node:
        yield Web(node, port)


def test_films_come_in_by_stow_and_their_results_go_out(web: Web, target: Archive) -> None:
    until(lambda: web.ask("GET", "/readyz").status == 200)
    assert web.ask("GET", "/healthz").content == b"alive\n"
    done = web.node.counts()["done"]
    sent = films(2, "1.2.20")
    answer = web.store(*map(encoded, sent))
    assert answer.status == 200
    stored = answer.json["00081199"]["Value"]
    assert [one["00081155"]["Value"] for one in stored] == [[one.SOPInstanceUID] for one in sent]
    web.node.until_done(done + 2)
    assert [result.Modality for result in target.stored if result.StudyInstanceUID == "1.2.20"] == ["SR", "SR"]
    assert web.store(encoded(sent[0]), study="/1.2.20").status == 200  # known already
    assert web.node.counts()["done"] == done + 2


def test_a_body_as_orthanc_sends_it_is_taken(web: Web) -> None:
    boundary = "-".join(["2d7b3199-8376-4055-8f36-5973d88fbdeb"] * 2)  # longer than allowed, and nothing after the last
    (one,) = films(1, "1.2.23")
    content = encoded(one)
    head = f"--{boundary}\r\nContent-Type: application/dicom\r\nContent-Length: {len(content)}\r\n\r\n"
    body = head.encode() + content + f"\r\n--{boundary}--".encode()
    done = web.node.counts()["done"]
    kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
    answer = web.ask("POST", "/dicom-web/studies", iter([body[:700], body[700:]]), {"Content-Type": kind})
    assert answer.status == 200, answer.content
    web.node.until_done(done + 1)


def test_what_could_not_be_stored_is_named(web: Web) -> None:
    good, other = films(1, "1.2.21")[0], films(1, "1.2.22")[0]
    done = web.node.counts()["done"]
    answer = web.store(encoded(good), b"no film", encoded(other), study="/1.2.21")
    assert answer.status == 202
    failed = answer.json["00081198"]["Value"]
    assert [one["00081197"]["Value"] for one in failed] == [[0xC000], [0xA900]]
    assert failed[1]["00081155"]["Value"] == [other.SOPInstanceUID]
    web.node.until_done(done + 1)
    answer = web.store(b"no film")
    assert answer.status == 409 and list(answer.json) == ["00081198"]


@pytest.mark.parametrize(
    ("request_", "status"),
    {
        "type": ({"kind": "multipart/form-data; boundary=between"}, 415),
        "boundary": ({"kind": "multipart/related"}, 400),
        "end": ({"end": b""}, 400),
        "none": ({"parts": ()}, 400),
        "size": ({"parts": (bytes(2 * 2**20),)}, 413),
    }.values(),
)
def test_a_body_that_is_none_is_refused_and_leaves_nothing(web: Web, request_: dict[str, Any], status: int) -> None:
    parts = request_.pop("parts", (b"no film",))
    answer = web.store(*parts, **request_)
    assert answer.status == status, answer.content
    assert json.loads(answer.content)["status"] == status
    until(lambda: not list((web.node.spool / "arriving").iterdir()))


def test_figures_say_how_many_and_how_long_and_nothing_of_whom(web: Web) -> None:
    planted = {"PatientName": NAME, "PatientID": "planted-id"}
    done, before = web.node.counts()["done"], web.figures()
    (damaged,) = films(1, "1.2.987654", **planted)
    damaged.PixelData = b"12"
    assert web.store(encoded(damaged), encoded(films(1, "1.2.98765", **planted)[0])).status == 200
    web.node.until_done(done + 1)
    until(lambda: web.figures()["hilum_node_films dead"] == 1)
    after = web.figures()
    grown = {name: after[name] - before.get(name, 0) for name in after}
    assert grown["hilum_node_arrivals_total taken"] == grown["hilum_node_seconds_count"] == 2
    assert grown["hilum_node_results_sent_total archive"] == grown["hilum_node_judged_total failed"] == 1
    assert after["hilum_node_processes_ready"] == 1 and after["hilum_node_results_waiting archive"] == 0
    (watched,) = (name for name in after if name.startswith("hilum_drift_films "))
    judged = sum(value for name, value in after.items() if name.startswith("hilum_node_judged_total"))
    until(lambda: web.figures()[watched] == judged - 1)
    web.ask("GET", "/dicom-web/planted?planted=planted")
    for told in (web.ask("GET", "/metrics").content.decode(), web.node.printed):
        assert "lanted" not in told and "1.2.98765" not in told
    assert web.ask("GET", "/metrics", headers={"Host": "evil.example"}).status == 400


def test_beyond_this_machine_the_port_wants_tls_and_a_token(tmp_path: Path) -> None:
    settings = "[http]\nhost = '0.0.0.0'\nport = 0"
    node = Node(tmp_path, tmp_path, 1, "")
    node.settings.write_text(f"{node.settings.read_text()}\n{settings}")
    assert "http.host 0.0.0.0: is open to others" in run("node", node.settings).stderr
    bundle = tiny_detection_bundle(tmp_path)
    node = Node(tmp_path, bundle, 1, "")
    node.settings.write_text(f"{node.settings.read_text()}\n{settings}")
    answer = run("node", node.settings, "--insecure")
    assert answer.returncode == 1 and "token" in answer.stderr.splitlines()[-1]
