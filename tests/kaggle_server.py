"""Kaggle and its storage on the loopback interface, as much of both as a download needs.

It serves as an HTTP proxy, so that every address a client asks for ends here and never on a real network: with
KAGGLE_API_ENVIRONMENT=LOCALHOST kagglesdk speaks plain HTTP to http://localhost, and HTTP_PROXY carries that to the
port of this server. No name inside kagglehub has to be replaced for it.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import pytest

from hilum.dataset.fetch import fetch as fetch_module

TOKEN = "0123456789abcdef-token"
STORAGE = "http://storage.localhost/archive.zip"


class Request(NamedTuple):
    """A request that arrived."""

    url: str
    range: str | None
    authorization: str | None


@dataclass
class KaggleServer:
    """A server with one archive. Its fields are the moods a test can put it in."""

    archive: bytes
    announced_md5: bytes | None = None  # of the archive, unless a test lies about it
    etag: str = '"1"'
    status: int = 200  # what the API answers
    storage_status: int = 200
    api_html: bool = False  # a login page of the network answers instead of Kaggle
    without_md5: bool = False
    stall: bool = False  # sends the head of an archive and then nothing, until the client hangs up
    ignore_range: bool = False
    break_after: list[int] = field(default_factory=list)  # hang up after so many bytes, once for each number
    seen: list[Request] = field(default_factory=list)

    def __enter__(self) -> Self:
        kaggle = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.note()
                if kaggle.api_html:
                    return self.answer(200, "text/html", b"<html>Please sign in</html>")
                if kaggle.status != 200:
                    refusal = {"code": kaggle.status, "message": "no"}
                    return self.answer(kaggle.status, "application/json", json.dumps(refusal).encode())
                if self.path.endswith("/GetDataset"):
                    return self.answer(200, "application/json", b'{"currentVersionNumber": 2}')
                assert self.path.endswith(("/DownloadDataset", "/DownloadDataFiles")), self.path
                self.send_response(302)
                self.send_header("Location", STORAGE + "?X-Goog-Signature=secret")
                self.end_headers()

            def do_GET(self) -> None:
                self.note()
                assert self.path.startswith(STORAGE), self.path
                if kaggle.storage_status != 200:
                    return self.answer(kaggle.storage_status, "application/xml", b"<Error/>")
                wanted = self.headers["Range"]
                start = int(wanted.removeprefix("bytes=").removesuffix("-")) if wanted else 0
                if kaggle.ignore_range:
                    start = 0
                body = kaggle.archive[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Type", "application/zip")
                self.send_header("Content-Length", str(len(body)))
                self.send_header("ETag", kaggle.etag)
                self.send_header("Accept-Ranges", "bytes")
                if start:
                    self.send_header("Content-Range", f"bytes {start}-{len(kaggle.archive) - 1}/{len(kaggle.archive)}")
                if not kaggle.without_md5:
                    digest = kaggle.announced_md5 or hashlib.md5(kaggle.archive).digest()
                    self.send_header("x-goog-hash", f"crc32c=AAAAAA==, md5={base64.b64encode(digest).decode()}")
                self.end_headers()
                # Who comes from the API only reads the head; the transfer itself asks for bytes as they are stored.
                transfer = self.headers["Accept-Encoding"] == "identity"
                if transfer and kaggle.break_after:
                    body = body[: kaggle.break_after.pop(0)]
                if transfer and kaggle.stall:
                    self.connection.recv(1)
                    return
                self.send(body)

            def note(self) -> None:
                kaggle.seen.append(Request(self.path, self.headers["Range"], self.headers["Authorization"]))

            def answer(self, status: int, kind: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", kind)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.send(body)

            def send(self, body: bytes) -> None:
                try:
                    self.wfile.write(body)
                except ConnectionError:  # the client wanted the head only
                    self.close_connection = True

            def log_message(self, format: str, *args: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def environment(self, home: Path) -> dict[str, str]:
        """What makes kagglehub talk to this server, and find no credentials but those in `home`."""
        proxy = f"http://127.0.0.1:{self._server.server_port}"
        return {
            "KAGGLE_API_ENVIRONMENT": "LOCALHOST",
            **{name: proxy for name in ("http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY")},
            **{name: "" for name in ("no_proxy", "NO_PROXY", "all_proxy", "ALL_PROXY")},
            "HOME": str(home),
            "KAGGLE_CONFIG_DIR": str(home / ".kaggle"),
            "KAGGLEHUB_CACHE": str(home / "cache"),
        }

    def transfers(self) -> list[Request]:
        """The requests for the archive's bytes, without those that follow the API's redirect."""
        return [request for request in self.seen if request.url.startswith(STORAGE)][1::2]


@contextmanager
def loopback(archive: bytes, home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    """A server with this archive, as the only Kaggle that this process and its children know of."""
    for name in [name for name in os.environ if name.startswith("KAGGLE")]:
        monkeypatch.delenv(name)
    monkeypatch.setattr(fetch_module, "PAUSES", (0.01, 0.01))
    with KaggleServer(archive) as server:
        for name, value in server.environment(home).items():
            monkeypatch.setenv(name, value)
        yield server
