"""POST /v1/predictions: films in, the lines of `hilum predict --json` out."""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from hilum.bundle.asked import Asked, settle
from hilum.bundle.card import BundleError
from hilum.bundle.prediction import KEYS
from hilum.service.admission import Held
from hilum.service.body import FILM_TYPES, FORM_TYPE, films_of
from hilum.service.films.pool import Unavailable
from hilum.service.films.served import FAILED, PICTURES, Answer, Wanted
from hilum.service.mixed import MEDIA_TYPE as MIXED
from hilum.service.mixed import mixed_response
from hilum.service.problems import Problem, described
from hilum.service.running import Running

LINES = "application/x-ndjson"
router = APIRouter()


class Question(BaseModel):
    """What is asked of the films, in the query; what is left out is as the bundle has it."""

    model_config = ConfigDict(extra="forbid")

    model: Annotated[str | None, Field(description="A bundle by its name here; the first one if left out.")] = None
    operating_point: Annotated[str | None, Field(description="Decide at this operating point of the bundle.")] = None
    threshold: Annotated[float | None, Field(ge=0, le=1, description="Decide at this probability instead.")] = None
    box_threshold: Annotated[
        float | None, Field(ge=0, le=1, description="Give a detector's boxes from this score on instead.")
    ] = None
    patient: Annotated[Literal["child", "adult"] | None, Field(description="For bundles that tell them apart.")] = None
    gate: Annotated[bool, Field(description="Turn away what is no upright frontal chest film.")] = True
    invert: Annotated[bool, Field(description="Exchange black and white first.")] = False
    overlay: Annotated[bool, Field(description="Add the film with what was found drawn over it.")] = False
    heatmap: Annotated[bool, Field(description="Add the evidence for pneumonia alone, transparent around it.")] = False
    lungs: Annotated[bool, Field(description="Add the mask of the lungs, of a bundle that has one.")] = False

    def wanted(self, running: Running, accept: str) -> Wanted:
        """The same as the processes take it. Raises Problem where the bundle cannot do it."""
        served = running.served(self.model)
        pictures = tuple(kind for kind in PICTURES if getattr(self, kind)) or (PICTURES if MIXED in accept else ())
        points = served.card.point_names
        if self.operating_point is not None and self.operating_point not in points:
            raise Problem("not_possible", f"no such operating point; {served.name} has {', '.join(points)}")
        asked = Asked(
            operating_point=self.operating_point,
            threshold=self.threshold,
            gate=self.gate,
            heatmaps=bool(pictures),
            box_threshold=self.box_threshold,
            patient=self.patient,
        )
        try:
            settle(asked, served.card)
        except BundleError as error:
            raise Problem("not_possible", f"{served.name}: {error}") from None
        return Wanted(served.name, asked, self.invert, pictures)


PICTURE = {"schema": {"type": "string", "contentMediaType": "application/octet-stream"}}
ANSWER = {"type": "object", "required": list(KEYS), "title": "Prediction"}
BODY = {
    "required": True,
    "content": {
        **{kind: PICTURE for kind in FILM_TYPES},
        FORM_TYPE: {
            "schema": {
                "type": "object",
                "required": ["film"],
                "additionalProperties": False,
                "properties": {"film": {"type": "array", "minItems": 1, "items": PICTURE["schema"]}},
            }
        },
    },
}
PROBLEMS = (
    *("malformed_form", "no_film", "no_such_model", "too_slow", "too_large", "too_many_films"),
    *("unsupported_media_type", "not_an_image", "unsupported_encoding"),
    *("empty", "inconsistent_header", "multi_frame", "truncated_pixel_data", "damaged", "not_a_number", "too_costly"),
    *("bad_parameter", "not_possible", "busy", "not_ready"),
)
ANSWERED: dict[str, Any] = {
    "description": "One film: an object. Several: an object a line, in their order. With pictures: multipart/mixed.",
    "content": {
        "application/json": {"schema": ANSWER},
        LINES: {"schema": {"type": "string"}},
        MIXED: {"schema": {"type": "string"}},
    },
}


@router.post(
    "/v1/predictions",
    summary="Judge films",
    responses={200: ANSWERED, **described(*PROBLEMS)},
    response_class=Response,
    openapi_extra={"requestBody": BODY},
)
async def predict(request: Request, question: Annotated[Question, Query()]) -> Response:
    """Judge one film, sent as its bytes, or several as multipart/form-data. The answer is what `hilum predict --json`
    prints; no file name is kept, so `file` is null.

    One film that cannot be judged is a problem. Among several it is a line with the reason, and the others are judged.
    """
    running: Running = request.app.state.running
    wanted = question.wanted(running, request.headers.get("accept", ""))
    with running.admission.request() as held:
        answers = await _judge_all(running, wanted, request, held)
    for answer in answers:
        running.metrics.films.labels(wanted.model, answer.outcome).inc()
    if len(answers) == 1 and answers[0].outcome == FAILED:
        raise Problem(answers[0].reason or "damaged", answers[0].detail or "")
    if wanted.pictures:
        return mixed_response(answers, wanted)
    content = b"".join(answer.line + b"\n" for answer in answers)
    return Response(content, media_type="application/json" if len(answers) == 1 else LINES)


async def _judge_all(running: Running, wanted: Wanted, request: Request, held: Held) -> list[Answer]:
    """Each film as soon as it is whole, while the next ones still come; no more of one request than there are
    processes, so that a large one leaves room for others.
    """
    turn = asyncio.Semaphore(running.pool.processes)

    async def judge(film: bytearray) -> Answer:
        size = len(film)
        async with turn:
            answer = await asyncio.wrap_future(running.pool.submit(wanted, film))
        held.release(size)
        return answer

    films: list[asyncio.Task[Answer]] = []
    try:
        async for film in films_of(request, held, running.settings.most_bytes):
            held.enter()
            films.append(asyncio.create_task(judge(film)))
            del film
        return await _unless_gone(request, asyncio.gather(*films))
    except Unavailable:
        raise Problem("not_ready", "no process can judge films just now", {"Retry-After": "5"}) from None
    finally:
        for task in films:
            task.cancel()
        await asyncio.gather(*films, return_exceptions=True)


async def _unless_gone(request: Request, answers: asyncio.Future[list[Answer]]) -> list[Answer]:
    """The answers, unless their client went away, who needs none."""
    gone = asyncio.ensure_future(request.receive())
    either: set[asyncio.Future[Any]] = {answers, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answers.done():
            answers.cancel()
            raise ClientDisconnect
        return answers.result()
    finally:
        gone.cancel()
