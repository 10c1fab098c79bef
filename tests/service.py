"""A service started as a user starts it, and requests to it over a real socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from conftest import PATIENCE

from hilum.service.server import bind, configure
from hilum.service.settings import Settings


class Reply(NamedTuple):
    """What came back."""

    status: int
    headers: Mapping[str, str]
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


class Calling:
    """Requests to a port of this machine."""

    def __init__(self, port: int, context: ssl.SSLContext | None = None) -> None:
        self.port = port
        self.context = context

    def ask(self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None) -> Reply:
        connection = self.connect()
        try:
            connection.request(method, path, body, dict(headers or {}))
            return reply_of(connection.getresponse())
        finally:
            connection.close()

    def connect(self) -> http.client.HTTPConnection:
        if self.context is not None:
            return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=PATIENCE, context=self.context)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)

    def post(self, film: bytes, kind: str = "image/png", query: str = "", **headers: str) -> Reply:
        path = f"/v1/predictions{'?' if query else ''}{query}"
        return self.ask("POST", path, film, {"Content-Type": kind, **headers})

    def post_form(self, films: list[bytes], query: str = "") -> Reply:
        path = f"/v1/predictions{'?' if query else ''}{query}"
        content, kind = form(films)
        return self.ask("POST", path, content, {"Content-Type": kind})

    def send(self, *pieces: bytes) -> socket.socket:
        """Bytes as they are, on a connection of their own."""
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        for piece in pieces:
            connection.sendall(piece)
        return connection


def reply_of(answer: http.client.HTTPResponse) -> Reply:
    return Reply(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())


def reply_on(connection: socket.socket) -> Reply:
    """The next answer on a connection."""
    with http.client.HTTPResponse(connection) as answer:
        answer.begin()
        return reply_of(answer)


class Service(Calling):
    """A running `hilum serve`, or another command that serves, and what it has printed so far."""

    def __init__(self, process: subprocess.Popen[str], says: str = "hilum serves on ") -> None:
        self.process = process
        self.printed: list[str] = []
        assert process.stderr is not None
        address = ""
        while says not in address:
            address = process.stderr.readline()
            if not address:
                raise AssertionError(self.log)
            self.printed.append(address)
        super().__init__(int(address.rpartition(":")[2]))
        self._reading = threading.Thread(target=self._read, args=(process.stderr,), daemon=True)
        self._reading.start()

    def _read(self, lines: Any) -> None:
        self.printed.extend(lines)

    @property
    def log(self) -> str:
        return "".join(self.printed)

    def stop(self, how: int = signal.SIGTERM) -> int:
        """The exit code, once everything it has printed is read."""
        self.process.send_signal(how)
        code = self.process.wait(PATIENCE)
        self._reading.join(PATIENCE)
        return code


def form(films: list[bytes], boundary: str = "limit") -> tuple[bytes, str]:
    """Films as a browser sends them, and their content type."""
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="film"; filename="Doe.png"\r\n\r\n'.encode()
    content = b"".join(head + film + b"\r\n" for film in films) + f"--{boundary}--\r\n".encode()
    return content, f"multipart/form-data; boundary={boundary}"


@contextmanager
def served(*arguments: str | Path, **variables: str) -> Iterator[Service]:
    """`hilum serve` on a free port, until the block ends."""
    with started("serve", *arguments, **variables) as process:
        service = Service(process)
        until(lambda: service.ask("GET", "/readyz").status == 200)
        yield service


@contextmanager
def reading_room(*arguments: str | Path) -> Iterator[Service]:
    """`hilum label` on a free port, until the block ends."""
    with started("label", *arguments) as process:
        yield Service(process, "hilum reads on ")


@contextmanager
def started(command: str, *arguments: str | Path, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """A command of hilum's that takes a free port, until the block ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "hilum", command, *map(str, arguments), "--port", "0"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **variables},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


class Here(Calling):
    """A service in a thread of this process."""

    def __init__(self, port: int, server: uvicorn.Server) -> None:
        super().__init__(port)
        self._server = server

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._server.server_state.connections)


@contextmanager
def served_here(settings: Settings) -> Iterator[Here]:
    """A service in a thread of this process, where tests can change what it goes by."""
    with bind("127.0.0.1", 0) as listening:
        server = uvicorn.Server(configure(settings))
        thread = threading.Thread(target=server.run, args=([listening],))
        thread.start()
        try:
            yield Here(listening.getsockname()[1], server)
        finally:
            server.should_exit = True
            thread.join()


def until(true: Any) -> None:
    """Wait for something to become true."""
    deadline = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def descendants(process: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    parents = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text(encoding="utf-8").rpartition(")")[2].split()[1])
        except OSError:
            continue
    children = [child for child, parent in parents.items() if parent == process]
    return [*children, *(far for child in children for far in descendants(child))]
