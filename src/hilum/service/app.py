"""The routes of a server process, and what lives as long as it does."""

from __future__ import annotations

import asyncio
import math
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from multiprocessing import parent_process
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Query, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import FileResponse, HTMLResponse, PlainTextResponse, Response
from starlette.types import ASGIApp

from hilum import __version__
from hilum.bundle.shipped import find_bundle
from hilum.service.admission import Admission
from hilum.service.documents import STYLE, documents_page
from hilum.service.films.monitors import Monitors
from hilum.service.films.pool import FilmPool
from hilum.service.guard import Guard, log
from hilum.service.metrics import Metrics
from hilum.service.page.routes import router as page
from hilum.service.pixels import router as pixels
from hilum.service.predictions import router as predictions
from hilum.service.problems import DOCUMENTS, REASONS, Problem, described, problem_response
from hilum.service.running import Running
from hilum.service.settings import Settings

router = APIRouter()
BUNDLE: dict[str, Any] = {
    "description": "The bundle, as `hilum export` wrote it.",
    "content": {
        "application/octet-stream": {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
    },
}
# A process waits for its next film until the thread that has it gets Python's lock: up to 5 ms, as Python is by itself.
SECONDS_TO_SWITCH = 0.0005
CLIENT_GONE = 499  # as nginx has it; nobody sees it but logs and metrics


def create_app(settings: Settings) -> ASGIApp:
    """The service as an ASGI application."""
    metrics = Metrics()
    monitors = Monitors(settings.bundles, settings.drift, log.warning)
    pool = FilmPool(settings.bundles, settings.processes, settings.limits, metrics.replaced.inc, monitors)

    def seconds_to_wait() -> int:
        return max(1, math.ceil((pool.waiting + 1) * pool.seconds / pool.processes))

    admission = Admission(settings.queue, settings.most_bytes_at_once, seconds_to_wait)
    running = Running(settings, pool, admission, metrics, monitors)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        _end_with_parent()
        sys.setswitchinterval(SECONDS_TO_SWITCH)
        monitors.start()
        pool.start()
        watching = asyncio.create_task(_watch(running))
        yield
        watching.cancel()
        await asyncio.to_thread(pool.close)
        await asyncio.to_thread(monitors.close)

    app = FastAPI(
        title="hilum",
        version=__version__,
        description="Pneumonia detection on chest radiographs. Research use only, not a medical device.",
        docs_url=None,
        redoc_url=None,
        lifespan=lifespan,
        exception_handlers=HANDLERS,
    )
    app.state.running = running
    app.include_router(predictions)
    app.include_router(pixels)
    app.include_router(page)
    app.include_router(router)
    return Guard(app, settings, metrics)


@router.get(DOCUMENTS, include_in_schema=False)
async def _documents(request: Request) -> Response:
    return HTMLResponse(documents_page(request.app.openapi()))


@router.get(STYLE, include_in_schema=False)
async def _style() -> Response:
    return Response(Path(__file__).with_name("documents.css").read_bytes(), media_type="text/css")


@router.get("/healthz", summary="Is the server there", response_class=PlainTextResponse, responses=described())
async def healthz() -> Response:
    """Answers as long as the server runs, whether or not it can judge films."""
    return PlainTextResponse("alive\n")


@router.get("/readyz", summary="Can it judge films", response_class=PlainTextResponse, responses=described("not_ready"))
async def readyz(request: Request) -> Response:
    """200 once a process is there that judges films, 503 before."""
    if not request.app.state.running.pool.ready:
        raise Problem("not_ready", "no process can judge films just now", {"Retry-After": "1"})
    return PlainTextResponse("ready\n")


@router.get("/v1/model", summary="What a bundle says of itself", responses=described("no_such_model", "bad_parameter"))
async def model(request: Request, model: Annotated[str | None, Query(description="Its name here.")] = None) -> Any:
    """The card, as `hilum show --json` prints it, with its name here and the names of all that are served.

    `watch` says how many films the watch of drift has seen since it began and its alarm, if there is one; null for a
    bundle that does not know what its films looked like. Of several server processes each watches films of its own.
    """
    running: Running = request.app.state.running
    served = running.served(model)
    names = [each.name for each in running.settings.bundles]
    watch = running.monitors.standing(served.name)
    return {"model": served.name, "models": names, **served.described, "watch": watch}


@router.get(
    "/v1/bundle",
    summary="A bundle itself",
    response_class=FileResponse,
    responses={200: BUNDLE, **described("no_such_model", "bad_parameter")},
)
async def bundle(
    request: Request, model: Annotated[str | None, Query(description="Its name here.")] = None
) -> Response:
    """The file, for who judges films where they are, as the page does when films are to stay on the computer."""
    running: Running = request.app.state.running
    return FileResponse(find_bundle(running.served(model).path), media_type="application/octet-stream")


@router.get(
    "/metrics", summary="What is counted, for Prometheus", response_class=PlainTextResponse, responses=described()
)
async def metrics(request: Request) -> Response:
    """Requests, films and their times, added up over all server processes."""
    return PlainTextResponse(request.app.state.running.metrics.exposition())


async def _problem(request: Request, error: Any) -> Response:
    """What ends a request, as its client gets it."""
    return problem_response(error, request.scope["request_id"], documented=_documented(request))


async def _http_problem(request: Request, error: Any) -> Response:
    """The framework's own errors as problems."""
    reason = {404: "not_found", 405: "method_not_allowed"}.get(error.status_code, "malformed_request")
    return await _problem(request, Problem(reason, REASONS[reason].meaning + _more(request), error.headers))


async def _question_problem(request: Request, error: Any) -> Response:
    """Which parameter is wrong and why, but not what it was: it may have gone astray."""
    wrong = "; ".join(
        "an unknown parameter" if one["type"] == "extra_forbidden" else f"{one['loc'][-1]}: {one['msg']}"
        for one in error.errors()
    )
    return await _problem(request, Problem("bad_parameter", wrong + _more(request)))


def _more(request: Request) -> str:
    return f"; {DOCUMENTS} says what there is" if _documented(request) else ""


def _documented(request: Request) -> bool:
    """A reading room and a node have no documents of their paths."""
    return request.app.openapi_url is not None


async def _client_gone(_: Request, __: Any) -> Response:
    """For logs and metrics alone."""
    return Response(status_code=CLIENT_GONE)


# How errors end a request, here, in a reading room and at a node.
HANDLERS: dict[int | type[Exception], Any] = {
    Problem: _problem,
    HTTPException: _http_problem,
    RequestValidationError: _question_problem,
    ClientDisconnect: _client_gone,
}


async def _watch(running: Running) -> None:
    while True:
        running.metrics.update(running.admission.requests, running.admission.bytes, running.pool.ready)
        running.metrics.watched(running.monitors.standings())
        await asyncio.sleep(1)


def _end_with_parent() -> None:
    """One of several server processes does not go on without the one that started them."""
    parent = parent_process()
    if parent is None:
        return

    def wait() -> None:
        parent.join()
        with suppress(ProcessLookupError):
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()
