"""What must not harm a service: malformed requests, floods, bombs, slow clients. It answers afterwards."""

from __future__ import annotations

import random
import re
import signal
import socket
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from bundles import slow_bundle, tiny_bundle
from conftest import LONGER, PATIENCE
from films import dicom, picture, png_chunk, shaded
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian
from service import Here, Service, descendants, form, reply_on, served, served_here, until

import hilum
from hilum.service import body, connection
from hilum.service.films.served import Served
from hilum.service.settings import Settings

FILM = picture(Image.fromarray(shaded()), "PNG")
HEAD = b"POST /v1/predictions HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
SECOND = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
MEGABYTE = 2**20


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def service(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    slow = slow_bundle(tmp_path_factory.mktemp("slow"))
    limits = ("--processes", "1", "--max-megabytes", "4", "--queue", "8", "--film-seconds", "2")
    with served("--model", bundle, "--model", f"slow={slow}", *limits) as started:
        yield started


@pytest.fixture(autouse=True)
def _answers_afterwards(request: pytest.FixtureRequest) -> Iterator[None]:
    yield
    if "service" in request.fixturenames:
        service = request.getfixturevalue("service")
        until(lambda: service.post(FILM).status == 200)
        assert "Traceback" not in service.log
        assert "bug" not in service.log


def statuses(client: socket.socket) -> list[bytes]:
    """Of all answers on a connection until it is closed."""
    return re.findall(rb"HTTP/1.1 (\d+) ", b"".join(iter(lambda: client.recv(1 << 16), b"")))


def memory(process: int) -> int:
    """Megabytes that a process has at hand."""
    status = Path(f"/proc/{process}/status").read_text(encoding="ascii")
    return int(status.partition("VmRSS:")[2].split()[0]) // 1024


@pytest.mark.parametrize(
    "request_bytes",
    [
        HEAD + b"Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + SECOND,
        HEAD + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\nfilm!",
        HEAD + b"Content-Length: +4\r\n\r\nfilm",
        HEAD + b"Transfer-Encoding: xchunked\r\n\r\n4\r\nfilm\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: identity, chunked\r\n\r\n4\r\nfilm\r\n0\r\n\r\n",
        HEAD + b"Transfer-Encoding: chunked\r\n\r\nzz\r\nfilm\r\n0\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost : localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: a\0b\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        random.Random(1).randbytes(2000) + b"\r\n\r\n",
    ],
    ids=range(12),
)
def test_what_two_servers_could_read_in_two_ways_is_refused(service: Service, request_bytes: bytes) -> None:
    with service.send() as client, suppress(ConnectionError):  # closed before all of it was sent
        client.sendall(request_bytes)
        assert set(statuses(client)) == {b"400"}


def test_a_body_of_another_length_than_announced_is_no_film(service: Service) -> None:
    with service.send(HEAD + b"Content-Length: 50\r\n\r\nfilm") as client:
        client.shutdown(socket.SHUT_WR)
        assert client.recv(1) == b""
    with service.send(HEAD + b"Content-Length: 4\r\n\r\nfilm and more\r\n\r\n") as client:
        assert statuses(client) == [b"415", b"400"]


@pytest.mark.parametrize("announced", [True, False], ids=["announced", "chunked"])
def test_a_body_that_is_too_large_is_refused_while_it_comes(service: Service, announced: bool) -> None:
    before = memory(service.process.pid)
    length = b"Content-Length: %d" % (200 * MEGABYTE) if announced else b"Transfer-Encoding: chunked"
    chunk = bytes(MEGABYTE) if announced else b"%x\r\n" % MEGABYTE + bytes(MEGABYTE) + b"\r\n"
    with service.send(HEAD + length + b"\r\n\r\n") as client:
        sent = 0
        try:
            while sent < 200:
                client.sendall(chunk)
                sent += 1
            assert reply_on(client).status == 413
        except ConnectionError:
            assert sent >= 4
    assert memory(service.process.pid) < before + 30


@pytest.mark.soak
def test_clients_that_go_away_in_the_middle_leave_nothing_behind(service: Service) -> None:
    chance = random.Random(1)
    content, kind = form([FILM, FILM])
    head = HEAD.replace(b"image/png", kind.encode())
    whole = head + b"Content-Length: %d\r\n\r\n" % len(content) + content
    for _ in range(30 * LONGER):
        service.send(whole[: chance.randrange(len(whole))]).close()
    until(lambda: b"\nhilum_bytes_at_hand 0.0\n" in service.ask("GET", "/metrics").content)
    assert b"\nhilum_requests_at_hand 0.0\n" in service.ask("GET", "/metrics").content


def test_bombs_are_films_that_cannot_be_judged(service: Service) -> None:
    zeros = zlib.compress(bytes(200 * MEGABYTE), 1)
    header = np.array([30_000, 30_000], ">u4").tobytes() + bytes([8, 0, 0, 0, 0])
    large_png = b"\x89PNG\r\n\x1a\n" + png_chunk(b"IHDR", header) + png_chunk(b"IDAT", zeros) + png_chunk(b"IEND", b"")
    deflated = dicom(np.zeros((64, 64), np.uint16), transfer_syntax=DeflatedExplicitVRLittleEndian)
    bomb = deflated[:400] + zlib.compress(bytes(200 * MEGABYTE), 1)[2:]
    for film, kind in ((large_png, "image/png"), (deflated, "application/dicom"), (bomb, "application/dicom")):
        reply = service.post(film, kind)
        assert reply.status in (413, 415, 422) or film is deflated
        assert memory(service.process.pid) < 400


@pytest.mark.soak
def test_two_hundred_uploads_at_once_are_answered_or_told_to_come_again(service: Service) -> None:
    with ThreadPoolExecutor(200) as clients:
        replies = list(clients.map(lambda _: service.post(FILM), range(200 * LONGER)))
    assert {reply.status for reply in replies} <= {200, 429}
    assert sum(reply.status == 200 for reply in replies) >= 8
    assert all(int(reply.headers["retry-after"]) >= 1 for reply in replies if reply.status == 429)


def test_a_film_that_takes_too_long_does_not_stop_the_service(service: Service) -> None:
    reply = service.post(FILM, query="model=slow")
    assert (reply.status, reply.json["reason"]) == (422, "too_costly")
    assert b"\nhilum_processes_replaced_total 1.0\n" in service.ask("GET", "/metrics").content


@pytest.mark.parametrize(
    ("content", "kind", "reason"),
    [
        (b"", "multipart/form-data; boundary=x", "malformed_form"),
        (b"--x--\r\n", "multipart/form-data; boundary=x", "no_film"),
        (b"--y\r\n", "multipart/form-data; boundary=x", "malformed_form"),
        (form([FILM], "x")[0][:-5], "multipart/form-data; boundary=x", "malformed_form"),
        (b"--x\r\nX: " + b"a" * 100_000, "multipart/form-data; boundary=x", "malformed_form"),
        (
            b"--x\r\nContent-Disposition: form-data; name=a\r\n\r\n1\r\n--x--\r\n",
            "multipart/form-data; boundary=x",
            "malformed_form",
        ),
        (FILM, "multipart/form-data; boundary=" + "x" * 71, "malformed_form"),
    ],
)
def test_a_malformed_form_is_a_problem(service: Service, content: bytes, kind: str, reason: str) -> None:
    reply = service.post(content, kind)
    assert (reply.status, reply.json["reason"]) == (400, reason)


def test_more_films_than_a_request_may_have_are_refused(service: Service) -> None:
    assert service.post_form([b""] * 101).json["reason"] == "too_many_films"


def test_a_patients_name_appears_nowhere(service: Service) -> None:
    film = dicom(shaded().astype(np.uint16), PatientName="Quillon^Ada", PatientID="Quillon")
    kind = {"Content-Type": "application/dicom", "User-Agent": "Quillon", "X-Request-ID": "Quillon"}
    replies = [
        service.ask("POST", f"/v1/predictions{query}", content, kind)
        for query in (
            "",
            "?overlay=true",
            "?model=Quillon",
            "?operating_point=Quillon",
            "?Quillon=1",
            "?threshold=Quillon",
        )
        for content in (film, film[:300])
    ]
    content, form_kind = form([film])
    named = content.replace(b"Doe.png", b"Quillon.dcm")
    replies.append(service.ask("POST", "/v1/predictions", named, {"Content-Type": form_kind}))
    replies.append(service.ask("GET", "/Quillon?Quillon=Quillon"))
    replies.append(service.ask("QUILLON", "/v1/predictions"))
    replies.append(service.ask("GET", "/metrics"))
    assert not [
        reply for reply in replies if b"quillon" in reply.content.lower() or "quillon" in str(reply.headers).lower()
    ]
    assert "quillon" not in service.log.lower()


def test_a_film_at_hand_is_finished_before_it_stops(bundle: Path) -> None:
    with served("--model", bundle, "--processes", "1") as service:
        announced = HEAD + b"Content-Length: %d\r\n\r\n" % len(FILM)
        with service.send(announced, FILM[:100]) as client:
            until(lambda: b"hilum_bytes_at_hand 100.0" in service.ask("GET", "/metrics").content)
            service.process.send_signal(signal.SIGTERM)
            until(lambda: not is_there(service.port))
            client.sendall(FILM[100:])
            assert reply_on(client).status == 200
        assert service.process.wait(PATIENCE) == 0


def is_there(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except ConnectionRefusedError:
        return False
    return True


def test_nothing_goes_on_where_it_was_killed(bundle: Path) -> None:
    with served("--model", bundle, "--processes", "1") as service:
        family = descendants(service.process.pid)
        assert len(family) >= 2
        service.process.kill()
        until(lambda: not any(Path(f"/proc/{process}").exists() for process in family))


@pytest.fixture(scope="module")
def impatient(bundle: Path) -> Iterator[Here]:
    """A service that waits for nobody."""
    waits = {
        connection: ("SECONDS_FOR_HEAD", "SECONDS_TO_LINGER", "SECONDS_TO_READ"),
        body: ("SECONDS_OF_GRACE",),
    }
    with pytest.MonkeyPatch.context() as patch:
        for module, names in waits.items():
            for name in names:
                patch.setattr(module, name, 0.3)
        with served_here(Settings((Served.of("tiny", hilum.load(bundle, threads=1)),))) as started:
            yield started


def test_clients_that_are_slow_are_not_waited_for(impatient: Here) -> None:
    with impatient.send(b"GET /healthz HTT") as client:
        assert client.recv(1) == b""
    with impatient.send(HEAD + b"Content-Length: 50\r\n\r\nfilm") as client:
        assert statuses(client) == [b"408"]
    assert impatient.post(FILM).status == 200


def test_clients_that_do_not_read_are_not_waited_for(impatient: Here) -> None:
    noise = picture(Image.fromarray(np.random.default_rng(1).integers(0, 90, (1200, 1200), np.uint8)), "PNG")
    content, kind = form([noise] * 3)
    head = HEAD.replace(b"/v1/predictions", b"/v1/predictions?overlay=true").replace(b"image/png", kind.encode())
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(PATIENCE)
        client.connect(("127.0.0.1", impatient.port))
        client.sendall(head + b"Content-Length: %d\r\n\r\n" % len(content) + content)
        until(lambda: impatient.connections)
        until(lambda: not impatient.connections)
