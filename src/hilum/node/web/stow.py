"""Films by STOW-RS (PS3.18 10.5): from the body to the spool as they come, each in the queue before the answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager
from email.message import Message
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO, Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from hilum.node.intake import Outcome, Taken
from hilum.node.running import Running
from hilum.service.body import Parts, pieces_of
from hilum.service.problems import Problem

CALLER = "STOW"  # in place of an AE title, for rules
TYPE, FILM_TYPE = "multipart/related", "application/dicom"
LONGEST_BOUNDARY = 200  # RFC 2046 allows 70, Orthanc sends 73
MOST_FILMS, MOST_REQUESTS, TRY_AGAIN = 200, 8, {"Retry-After": "60"}
FAILURES = {Outcome.NO_ROOM: 0xA700, Outcome.OURS: 0x0124, Outcome.DAMAGED: 0xC000, Outcome.OTHER_STUDY: 0xA900}
CLASS, INSTANCE, REASON = "00081150", "00081155", "00081197"
STORED, FAILED = "00081199", "00081198"
router = APIRouter(prefix="/dicom-web")


@router.post("/studies")
@router.post("/studies/{study}")
async def store(request: Request, study: str | None = None) -> Response:
    """200 where all films were taken, 202 where some were, 409 where none was, 503 where there is no room."""
    running: Running = request.app.state.running
    boundary = _boundary(request)
    with _place(request.app.state, running):
        async with aclosing(_films(request, boundary, running)) as films:
            taken = [await asyncio.to_thread(running.intake.take, film, CALLER, study=study) async for film in films]
    if not taken:
        raise Problem("no_film", "no film among the parts; each has Content-Type application/dicom")
    if all(one.outcome is Outcome.NO_ROOM for one in taken):
        raise _no_room()
    failed = [_reference(one) for one in taken if one.outcome in FAILURES]
    stored = [_reference(one) for one in taken if one.outcome not in FAILURES]
    answer = {STORED: stored, FAILED: failed}
    content = json.dumps({tag: {"vr": "SQ", "Value": items} for tag, items in answer.items() if items})
    return Response(content, 200 if not failed else 202 if stored else 409, media_type="application/dicom+json")


def _no_room() -> Problem:
    return Problem("busy", "no room for films just now; try again later", TRY_AGAIN)


@contextmanager
def _place(state: Any, running: Running) -> Iterator[None]:
    """One of the few requests that may bring films at once."""
    if state.storing >= MOST_REQUESTS or not running.spool.has_room(running.settings.spool_gigabytes):
        raise _no_room()
    state.storing += 1
    try:
        yield
    finally:
        state.storing -= 1


def _reference(taken: Taken) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if taken.facts is not None:
        item[CLASS] = {"vr": "UI", "Value": [taken.facts.kind]}
        item[INSTANCE] = {"vr": "UI", "Value": [taken.facts.instance]}
    if taken.outcome in FAILURES:
        item[REASON] = {"vr": "US", "Value": [FAILURES[taken.outcome]]}
    return item


def _boundary(request: Request) -> str:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    kind = header.get_param("type", FILM_TYPE)
    if header.get_content_type() != TYPE or kind != FILM_TYPE:
        raise Problem("unsupported_media_type", f'send films as {TYPE}; type="{FILM_TYPE}"')
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary.isascii() or not 1 <= len(boundary) <= LONGEST_BOUNDARY:
        raise Problem("malformed_form", f"{TYPE} without a boundary that could be one")
    return boundary


async def _films(request: Request, boundary: str, running: Running) -> AsyncGenerator[Path]:
    """Each film as a file in the spool, as soon as it is whole; the next piece is read once it has been taken."""
    most = running.settings.max_megabytes * 2**20
    parts = _Films(boundary, running.spool.arriving, most)
    try:
        async for piece in pieces_of(request, lambda _: None, MOST_FILMS * most):
            for film in parts.feed(piece):
                yield film
        parts.check_ended()
    except OSError:  # the disk is full
        raise _no_room() from None
    finally:
        parts.close()


class _Films(Parts):
    """Films out of a body, written as they come."""

    kind = TYPE

    def __init__(self, boundary: str, folder: Path, most: int) -> None:
        super().__init__(boundary)
        self._folder = folder
        self._most = most
        self._file: IO[bytes] | None = None
        self._whole: list[Path] = []
        self._count = 0

    def feed(self, piece: bytes) -> Iterator[Path]:
        """The films that end in this piece."""
        self.write(piece)
        while self._whole:
            yield self._whole.pop(0)

    def close(self) -> None:
        """What did not come to its end, or was not asked for, goes."""
        if self._file is not None:
            self._file.close()
            self._whole.append(Path(self._file.name))
        for film in self._whole:
            film.unlink(missing_ok=True)

    def begin(self) -> None:
        self._count += 1
        if self._count > MOST_FILMS:
            raise Problem("too_many_films", f"more than {MOST_FILMS} films at once; send them in several requests")
        self._file = NamedTemporaryFile(dir=self._folder, delete=False)  # noqa: SIM115, open until the part ends; its mode is 0600

    def header(self, name: bytes, value: bytes) -> None:
        if name == b"content-type" and not value.startswith(FILM_TYPE.encode()):
            raise Problem("unsupported_media_type", f"a part that is no {FILM_TYPE}")

    def add(self, data: memoryview) -> None:
        assert self._file is not None
        self._file.write(data)
        if self._file.tell() > self._most:
            raise Problem("too_large", f"a film of more than {self._most >> 20} MB")

    def finish(self) -> None:
        assert self._file is not None
        self._file.close()
        self._whole.append(Path(self._file.name))
        self._file = None
