"""The routes of a reading room. A film is known to its reader by its place in their list, never by its name."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote

from fastapi import APIRouter, FastAPI, Query, Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp

from hilum import __version__
from hilum.bundle.asked import Asked
from hilum.dataset.readings.reading import from_plain
from hilum.label.orders import Showing
from hilum.label.room import Desk, Room, plain
from hilum.radiograph import ReadError, content_of, open_film
from hilum.service.admission import Admission
from hilum.service.app import HANDLERS
from hilum.service.body import pieces_of
from hilum.service.films.pool import FilmPool, Unavailable
from hilum.service.films.served import FAILED, PIXELS, Answer, Wanted
from hilum.service.guard import Guard
from hilum.service.metrics import Metrics
from hilum.service.mixed import mixed_response
from hilum.service.page.files import FILES
from hilum.service.page.policy import FRAMELESS, POLICY
from hilum.service.page.routes import part_of_page
from hilum.service.pixels import LONGEST, GreyValues
from hilum.service.problems import Problem
from hilum.service.settings import Settings

START, STYLE = "label/main.js", "label/label.css"
READER = "hilum-reader"
MOST_BYTES = 1 << 20  # of a reading
SAID = ("seconds", "label", "readable", "lateral", "doubt", "note", "boxes", "withdrawn")
ONE = {"reader": "-", "film": "-", "digest": "-", "given": "2000-01-01"}
router = APIRouter(include_in_schema=False)


def create_app(settings: Settings, room: Room) -> ASGIApp:
    """The room as an ASGI application, within the guard of `hilum serve`."""
    metrics = Metrics()
    pool = FilmPool(settings.bundles, settings.processes, settings.limits)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        pool.start()
        yield
        await asyncio.to_thread(pool.close)

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, lifespan=lifespan, exception_handlers=HANDLERS)
    app.state.room, app.state.pool, app.state.settings = room, pool, settings
    app.state.admission = Admission(settings.queue, settings.most_bytes_at_once, lambda: 1)
    app.state.writing = asyncio.Lock()
    app.include_router(router)
    app.add_api_route("/page/{name:path}", part_of_page)
    return Guard(app, settings, metrics, documented=False)


@router.get("/")
async def front() -> Response:
    """The page of `hilum serve`, with the panels of a reading room."""
    page = FILES["index.html"].decode().replace("page/main.js", f"page/{START}")
    page = page.replace('<body class="empty">', '<body class="room">')
    page = page.replace("</head>", f'<link rel="stylesheet" href="page/{STYLE}">\n</head>')
    return Response(page, media_type="text/html", headers={"Content-Security-Policy": POLICY + FRAMELESS})


@router.get("/v1/readers")
async def readers(request: Request) -> dict[str, Any]:
    """Who may read here; with tokens only the one whose token was shown."""
    holder = request.scope.get("holder")
    return {"readers": [holder] if holder else list(request.app.state.room.desks)}


@router.get("/v1/list")
async def listed(request: Request) -> dict[str, Any]:
    """A reader's list: how many films, what they may be called, and what was said of which."""
    room: Room = request.app.state.room
    desk = _desk(request)
    return {
        "hilum": __version__,
        "reader": desk.reader,
        "classes": room.plan.classes,
        "answers": room.plan.answers,
        "round": room.plan.round,
        "count": len(desk.showings),
        "readings": [{"place": place, **plain(reading)} for place, reading in desk.readings()],
    }


@router.get("/v1/model")
async def model(request: Request) -> dict[str, Any]:
    """The card of the bundle whose answers are shown here."""
    if not request.app.state.settings.bundles:
        raise Problem("no_such_model", "this room was opened without a bundle")
    served = request.app.state.settings.bundles[0]
    return {"model": served.name, "models": [served.name], **served.described, "watch": None}


@router.get("/v1/films/{place}")
async def about(request: Request, place: int) -> dict[str, Any]:
    """What a film begins with: boxes, and what others said where that is to be settled."""
    room: Room = request.app.state.room
    desk = _desk(request)
    film = room.plan.films.paths[_showing(desk, place).film]
    boxes = [[box.x, box.y, box.width, box.height, box.label] for box in room.plan.start.get(film, [])]
    return {"boxes": boxes, "others": [plain(each) for each in desk.others(place)]}


@router.get("/v1/films/{place}/pixels")
async def pixels(request: Request, place: int, longest: Annotated[int, Query(ge=16, le=65536)] = LONGEST) -> Response:
    """Its grey values, as `hilum serve` gives those of a film that was sent."""
    wanted = Wanted("", Asked(), pictures=(PIXELS,), longest=longest)
    shown = await _through_a_process(request, place, wanted)
    return GreyValues(shown.pictures[0], json.loads(shown.line), request.app.state.admission)


@router.get("/v1/films/{place}/answer")
async def answer(request: Request, place: int) -> Response:
    """The model's answer: never before one's own, unless the room was opened so."""
    room: Room = request.app.state.room
    desk = _desk(request)
    _showing(desk, place)
    if room.plan.answers == "never" or (room.plan.answers == "after" and desk.reading(place) is None):
        raise Problem("not_possible", "this room shows the model's answer after one's own, or never")
    wanted = Wanted(request.app.state.settings.bundles[0].name, Asked(heatmaps=True), pictures=("heatmap", "lungs"))
    return mixed_response([await _through_a_process(request, place, wanted)], wanted)


@router.post("/v1/films/{place}/reading")
async def give(request: Request, place: int) -> Response:
    """A reading: kept before this answers."""
    desk = _desk(request)
    _showing(desk, place)
    content = b"".join([piece async for piece in pieces_of(request, lambda _: None, MOST_BYTES)])
    try:
        values: Any = json.loads(content)
        if not isinstance(values, dict) or not set(values) <= set(SAID):
            raise ValueError(f"a reading is of {', '.join(SAID)}")
        asked = from_plain({**ONE, **values})
        said = {name: getattr(asked, name) for name in values}
        async with request.app.state.writing:
            reading = await asyncio.to_thread(desk.give, place, said)
    except (ValueError, RecursionError) as error:
        raise Problem("bad_parameter", f"no reading: {error}") from None
    except OSError as error:
        raise Problem("not_kept", f"not kept: {error.strerror}; what you said is still on the page") from None
    return JSONResponse(plain(reading))


def _desk(request: Request) -> Desk:
    """The desk of whoever asks: by their token, or where there is none as the page says."""
    room: Room = request.app.state.room
    name = request.scope.get("holder") or unquote(request.headers.get(READER, ""))
    name = name or (next(iter(room.desks)) if len(room.desks) == 1 else "")
    if name not in room.desks:
        raise Problem("not_found", "nobody of this name reads here")
    return room.desks[name]


def _showing(desk: Desk, place: int) -> Showing:
    if not 0 <= place < len(desk.showings):
        raise Problem("not_found", "there is no such film in this list")
    return desk.showings[place]


async def _through_a_process(request: Request, place: int, wanted: Wanted) -> Answer:
    """A film goes as bytes, so that nothing that comes back names it."""
    room: Room = request.app.state.room
    path = room.plan.films.path(_showing(_desk(request), place).film)
    pool: FilmPool = request.app.state.pool
    try:
        film = bytearray(await asyncio.to_thread(_content, path))
        shown = await asyncio.wrap_future(pool.submit(wanted, film))
    except ReadError as error:
        raise Problem(error.reason, error.detail) from None
    except OSError:
        raise Problem("damaged", "the film's file cannot be opened") from None
    except Unavailable:
        raise Problem("not_ready", "no process can read films just now", {"Retry-After": "1"}) from None
    if shown.outcome == FAILED:
        raise Problem(shown.reason or "damaged", shown.detail or "")
    return shown


def _content(path: Path) -> bytes:
    with open_film(path) as file:
        return content_of(file)
