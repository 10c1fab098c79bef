"""A server that is asked over HTTP: nothing is followed elsewhere, and nothing grows without bound."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

SECONDS = 60.0
MOST_JSON = 32 * 2**20
PIECE = 2**18
LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
Pieces = Iterator[bytes]


class Unreachable(Exception):
    """A server that cannot be had just now; one line why, and the status of its answer if it gave one."""

    def __init__(self, reason: str, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class Peer:
    """By its root, with the header that says who asks."""

    def __init__(self, url: str, authorization: str | None = None, context: ssl.SSLContext | None = None) -> None:
        parts = urlsplit(url)
        self._root = parts.path.rstrip("/")
        self._host, self._port = parts.hostname or "", parts.port
        self._context = context
        if parts.scheme == "https" and context is None:
            self._context = ssl.create_default_context()
        self._headers = {} if authorization is None else {"Authorization": authorization}

    @contextmanager
    def asked(
        self, path: str, accept: str = "application/json", body: bytes | None = None, kind: str = ""
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer, to be read within the block. Raises Unreachable."""
        connection = self._connection()
        headers = self._headers | {"Accept": accept} | ({"Content-Type": kind} if kind else {})
        try:
            connection.request("GET" if body is None else "POST", self._root + path, body, headers)
            with connection.getresponse() as answer:
                yield answer
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or type(error).__name__
            raise Unreachable(f"cannot be reached ({reason})") from None
        finally:
            connection.close()

    def json(self, path: str, accept: str = "application/json") -> Any:
        """An answer of JSON; None where there is none. Raises Unreachable."""
        with self.asked(path, accept) as answer:
            if answer.status == 204:
                return None
            _check(answer)
            content = answer.read(MOST_JSON + 1)
        try:
            if len(content) > MOST_JSON:
                raise Unreachable(f"answers with more than {MOST_JSON >> 20} MB")
            return json.loads(content)
        except ValueError:
            raise Unreachable("answers with what is no JSON") from None

    def pieces(self, path: str, accept: str, take: Callable[[str, Pieces], None]) -> bool:
        """Hands type and content of an answer to `take`; whether there was one. Raises Unreachable."""
        with self.asked(path, accept) as answer:
            if answer.status in (404, 410):
                return False
            _check(answer)
            take(answer.headers.get("Content-Type", ""), _whole(answer))
        return True

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=SECONDS, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)


def authorization_by(secret: str) -> str:
    """The header that shows `name:password`, or a token."""
    if ":" in secret:
        return f"Basic {base64.b64encode(secret.encode()).decode()}"
    return f"Bearer {secret}"


def is_open(url: str) -> bool:
    """Whether what is asked of it passes a network as anyone may read it."""
    parts = urlsplit(url)
    return parts.scheme == "http" and parts.hostname not in LOOPBACK


def _check(answer: http.client.HTTPResponse) -> None:
    if answer.status != 200:
        raise Unreachable(f"answers with status {answer.status}", answer.status)


def _whole(answer: http.client.HTTPResponse) -> Pieces:
    """Its content as it comes; what ends before the length that was announced is no answer."""
    while piece := answer.read(PIECE):
        yield piece
    if answer.length:
        raise Unreachable("broke the connection off")
