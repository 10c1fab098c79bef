"""A server that the node asks over HTTP: nothing is followed elsewhere, and nothing grows without bound."""

from __future__ import annotations

import base64
import http.client
import json
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from hilum.node.settings.node import NodeError
from hilum.node.settings.target import TargetTls
from hilum.node.targets.tls import client_context
from hilum.node.targets.way import Unreachable

SECONDS = 60.0
MOST_JSON = 32 * 2**20
PIECE = 2**18


class Peer:
    """By its root. `credentials` is a file with `name:password`, or with a token."""

    def __init__(self, url: str, tls: TargetTls | None, credentials: str | None) -> None:
        parts = urlsplit(url)
        self._root = parts.path.rstrip("/")
        self._host, self._port = parts.hostname or "", parts.port
        self._context: ssl.SSLContext | None = None
        if parts.scheme == "https":
            self._context = ssl.create_default_context() if tls is None else client_context(tls)
        self._headers = {} if credentials is None else {"Authorization": _authorization(Path(credentials))}

    @contextmanager
    def asked(
        self, path: str, accept: str = "application/json", body: bytes | None = None, kind: str = ""
    ) -> Iterator[http.client.HTTPResponse]:
        """The answer, to be read within the block. Raises Unreachable."""
        connection = self._connection()
        headers = self._headers | {"Accept": accept} | ({"Content-Type": kind} if kind else {})
        try:
            connection.request("GET" if body is None else "POST", self._root + path, body, headers)
            yield connection.getresponse()
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
            if answer.status != 200:
                raise Unreachable(f"answers with status {answer.status}")
            content = answer.read(MOST_JSON + 1)
        try:
            if len(content) > MOST_JSON:
                raise Unreachable(f"answers with more than {MOST_JSON >> 20} MB")
            return json.loads(content)
        except ValueError:
            raise Unreachable("answers with what is no JSON") from None

    def pieces(self, path: str, accept: str, take: Callable[[str, Iterator[bytes]], None]) -> bool:
        """Hands type and content of an answer to `take`; whether there was one. Raises Unreachable."""
        with self.asked(path, accept) as answer:
            if answer.status in (404, 410):
                return False
            if answer.status != 200:
                raise Unreachable(f"answers with status {answer.status}")
            take(answer.headers.get("Content-Type", ""), iter(lambda: answer.read(PIECE), b""))
        return True

    def _connection(self) -> http.client.HTTPConnection:
        if self._context is not None:
            return http.client.HTTPSConnection(self._host, self._port, timeout=SECONDS, context=self._context)
        return http.client.HTTPConnection(self._host, self._port, timeout=SECONDS)


def _authorization(file: Path) -> str:
    try:
        secret = file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise NodeError(f"{file}: {getattr(error, 'strerror', None) or 'is no text file'}") from None
    if ":" in secret:
        return f"Basic {base64.b64encode(secret.encode()).decode()}"
    return f"Bearer {secret}"
