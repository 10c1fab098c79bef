"""The page without a server: written by `hilum page`, hosted by a plain file server as any web host is."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

LIBRARY = pytest.importorskip(
    "hilum_browser", reason="hilum-browser is not installed (pip install ./hilum-browser)"
).FOLDER


class Quiet(SimpleHTTPRequestHandler):
    """Files as they lie, and a note of what was asked for."""

    asked: list[str]

    def log_message(self, *_: Any) -> None:
        """Nothing on standard error."""

    def do_GET(self) -> None:
        """Note it, then answer."""
        self.asked.append(self.path)
        super().do_GET()


@contextmanager
def hosted(folder: Path) -> Iterator[tuple[str, list[str]]]:
    """The address of the site, and the paths that browsers have asked for."""
    asked: list[str] = []
    handler = type("Handler", (Quiet,), {"asked": asked})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://localhost:{server.server_port}/", asked
        finally:
            server.shutdown()
            thread.join()
