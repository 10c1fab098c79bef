"""Starting and stopping: one server process, or several on one port."""

from __future__ import annotations

import os
import signal
import socket
import ssl
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvicorn
from uvicorn.supervisors import Multiprocess

from hilum.service.app import create_app
from hilum.service.connection import Connection
from hilum.service.metrics import SHARED
from hilum.service.settings import Settings, SettingsError
from hilum.system.database import Database

SECONDS_TO_FINISH, SECONDS_TO_ANSWER = 60, 60
BACKLOG = 2048
KEPT = "running.sqlite"  # in the folder of watches, held by the service that runs
LOGGING: dict[str, Any] = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(message)s"}},
    "handlers": {"lines": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "hilum.service": {"handlers": ["lines"], "level": "INFO", "propagate": False},
        "uvicorn": {"handlers": ["lines"], "level": "ERROR", "propagate": False},
        # What it warns of is what a client sent, which is in no log.
        "python_multipart": {"handlers": ["lines"], "level": "ERROR", "propagate": False},
    },
}


def serve(settings: Settings, on_start: Callable[[str], object]) -> None:
    """Serve until a signal stops it; films at hand are finished first. Raises OSError if the port cannot be had.

    `on_start` gets the address once the port is ours.
    """
    check_certificate(settings)
    with bind(settings.host, settings.port) as listening, _kept_alone(settings.drift):
        on_start(address_of(listening, settings))
        config = configure(settings)
        with quiet_end(), _counted_together(settings.workers):
            if settings.workers == 1:
                uvicorn.Server(config).run([listening])
            else:
                Multiprocess(config, [listening]).run()


def address_of(listening: socket.socket, settings: Settings) -> str:
    """How clients reach it."""
    host, port = listening.getsockname()[:2]
    return f"{'https' if settings.cert else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"


def check_certificate(settings: Settings) -> None:
    """Refuse one that is none, or not its key's. Raises SettingsError."""
    if settings.cert is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(settings.cert, settings.key)
    except OSError as error:  # of which those of ssl are a kind
        reason = error.strerror or "not to be read"
        raise SettingsError(f"{settings.cert}: no certificate that goes with its key: {reason}") from None


def configure(settings: Settings) -> uvicorn.Config:
    """How uvicorn is to serve; it sends this to each of several server processes."""
    return uvicorn.Config(
        partial(create_app, settings),
        factory=True,
        workers=settings.workers,
        backlog=BACKLOG,
        timeout_graceful_shutdown=SECONDS_TO_FINISH,
        timeout_worker_healthcheck=SECONDS_TO_ANSWER,
        **manners(settings.cert, settings.key),
    )


def manners(cert: str | Path | None, key: str | Path | None) -> dict[str, Any]:
    """How every port of hilum speaks HTTP and what it logs, as settings of uvicorn."""
    return {
        "http": Connection,
        "ws": "none",
        "log_config": LOGGING,
        "log_level": None,
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,
        "ssl_certfile": cert,
        "ssl_keyfile": key,
        "ssl_version": ssl.PROTOCOL_TLS_SERVER,
    }


def bind(host: str, port: int) -> socket.socket:
    """The port, before anything is loaded that takes long."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family)
    if sys.platform != "win32":
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
        listening.listen(BACKLOG)  # who calls while the rest is loaded waits
    except OSError as error:
        listening.close()
        raise OSError(error.errno, error.strerror, f"{host}:{port}") from None
    listening.set_inheritable(True)
    return listening


@contextmanager
def _kept_alone(folder: Path | None) -> Iterator[None]:
    """Two services that kept their watches in one folder would undo what the other kept. Raises DatabaseError."""
    if folder is None:
        yield
        return
    folder.mkdir(parents=True, exist_ok=True)
    with closing(Database(folder / KEPT, "CREATE TABLE IF NOT EXISTS held (service)", alone=True)):
        yield


@contextmanager
def quiet_end() -> Iterator[None]:
    """uvicorn raises the signal that stopped it again once it is done; here that ends nothing any more."""
    before = {number: signal.signal(number, lambda *_: None) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _counted_together(workers: int) -> Iterator[None]:
    """Several server processes count in files beside each other, so that each can tell the sum."""
    os.environ.pop(SHARED, None)
    if workers == 1:
        yield
        return
    with tempfile.TemporaryDirectory(prefix="hilum-metrics-") as folder:
        os.environ[SHARED] = folder
        yield
        del os.environ[SHARED]
