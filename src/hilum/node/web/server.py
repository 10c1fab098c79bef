"""The node's own port for HTTP: started and stopped with it, in a thread."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import uvicorn
from fastapi import APIRouter, FastAPI, Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp

from hilum.node.log import note
from hilum.node.running import Running
from hilum.node.settings.node import Http, NodeError
from hilum.node.web.metrics import NodeMetrics
from hilum.node.web.stow import router as stow
from hilum.service.app import HANDLERS
from hilum.service.guard import Guard
from hilum.service.metrics import Metrics
from hilum.service.problems import Problem
from hilum.service.server import bind, manners
from hilum.service.settings import LOOPBACK, Settings, SettingsError

SECONDS_TO_FINISH = 10
router = APIRouter()


@contextmanager
def listening(http: Http, running: Running) -> Iterator[int]:
    """Answers within the block; the port. Raises NodeError."""
    try:
        app = create_app(_settings(http), running)
        if http.cert is not None:
            ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(http.cert, http.key)
        door = bind(http.host, http.port)
    except SettingsError as error:
        raise NodeError(f"http: {error}") from None
    except OSError as error:  # an SSLError is one
        raise NodeError(f"http: {error.filename or http.cert or http.host}: {error.strerror or error}") from None
    config = uvicorn.Config(
        app, lifespan="off", timeout_graceful_shutdown=SECONDS_TO_FINISH, **manners(http.cert, http.key)
    )
    server = uvicorn.Server(config)
    with door:
        thread = Thread(target=partial(server.run, [door]), name="hilum-node-http")
        thread.start()
        port = int(door.getsockname()[1])
        note(f"http on {http.host}:{port}")
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join()


def create_app(settings: Settings, running: Running) -> ASGIApp:
    """The routes, with the guard of `hilum serve` around them."""
    metrics = Metrics()
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, exception_handlers=HANDLERS)
    app.state.running, app.state.metrics, app.state.of_node = running, metrics, NodeMetrics(running)
    app.state.storing = 0
    app.include_router(router)
    app.include_router(stow)
    return Guard(app, settings, metrics, documented=False)


@router.get("/healthz")
async def healthz() -> Response:
    """Answers as long as the node runs."""
    return PlainTextResponse("alive\n")


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """200 where it takes and judges films, 503 with the reasons where it does not."""
    reasons = await asyncio.to_thread(lambda: list(request.app.state.running.not_ready()))
    if reasons:
        raise Problem("not_ready", "; ".join(reasons), {"Retry-After": "10"})
    return PlainTextResponse("ready\n")


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Of the node, then of the requests to this port."""
    state: Any = request.app.state
    state.metrics.watched(state.running.monitors.standings())
    return PlainTextResponse(await asyncio.to_thread(state.of_node.exposition) + state.metrics.exposition())


def _settings(http: Http) -> Settings:
    token = None
    if http.token_file is not None:
        token = Path(http.token_file).read_text(encoding="utf-8").strip()
        if not token:
            raise NodeError(f"http: {http.token_file}: is empty; write a token into it")
    return Settings(
        bundles=(),
        host=http.host,
        port=http.port,
        names=LOOPBACK | {http.host, *http.names},
        token=token,
        cert=None if http.cert is None else Path(http.cert),
        behind_proxy=True,  # what is open without TLS the node's settings have refused, or --insecure allows
    )
