"""POST /v1/pixels: the grey values of a film, for who shows it: a browser cuts them to 8 bits and reads no DICOM."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from hilum.bundle.asked import Asked
from hilum.service.admission import Admission
from hilum.service.body import FILM_TYPES, films_of
from hilum.service.films.pool import Unavailable
from hilum.service.films.served import FAILED, PIXELS, Wanted
from hilum.service.predictions import PROBLEMS
from hilum.service.problems import Problem, described
from hilum.service.running import Running

LONGEST = 2048
PIECE = 1 << 20
BYTES = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
GREY = {
    "description": "Its grey values, row after row, as little-endian uint16.",
    "content": {"application/octet-stream": BYTES},
}
router = APIRouter()


@router.post(
    "/v1/pixels",
    summary="The grey values of a film",
    response_class=Response,
    responses={200: GREY, **described(*PROBLEMS)},
    openapi_extra={"requestBody": {"required": True, "content": {kind: BYTES for kind in FILM_TYPES}}},
)
async def pixels(
    request: Request,
    longest: Annotated[
        int, Query(ge=16, le=65536, description="Reduce the film until no side has more pixels than this.")
    ] = LONGEST,
) -> Response:
    """The film upright, bright = dense, as little-endian uint16: 0 is black, 65,535 white.

    Their rows and columns are in the headers `Film-Height` and `Film-Width`; what the film has at full size is in
    `Film-Full-Height`, `Film-Full-Width`, `Film-Bits` and, where it states one, `Film-Pixel-Spacing` (mm between rows,
    between columns).
    """
    running: Running = request.app.state.running
    wanted = Wanted(running.settings.bundles[0].name, Asked(), pictures=(PIXELS,), longest=longest)
    with running.admission.request() as held:
        films = [film async for film in films_of(request, held, running.settings.most_bytes)]
        if len(films) > 1:
            raise Problem("bad_parameter", "several films; send one at a time")
        held.enter()
        try:
            shown = await asyncio.wrap_future(running.pool.submit(wanted, films[0]))
        except Unavailable:
            raise Problem("not_ready", "no process can read films just now", {"Retry-After": "5"}) from None
    if shown.outcome == FAILED:
        raise Problem(shown.reason or "damaged", shown.detail or "")
    return GreyValues(shown.pictures[0], json.loads(shown.line), running.admission)


class GreyValues(Response):
    """Sent in pieces, each once the client has taken the one before, and counted among what is at hand until then: a
    small film that is slowly fetched may be a hundred times its size.
    """

    media_type = "application/octet-stream"

    def __init__(self, values: bytes, known: dict[str, object], admission: Admission) -> None:
        headers = {f"Film-{name}": str(value) for name, value in known.items()}
        super().__init__(headers=headers | {"Content-Length": str(len(values))})
        self._values = memoryview(values)
        self._admission = admission

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._admission.request() as held:
            held.take(len(self._values))
            await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
            for start in range(0, len(self._values), PIECE):
                piece = bytes(self._values[start : start + PIECE])
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
