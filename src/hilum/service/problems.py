"""Errors as problem details (RFC 9457): a status, a reason for programs and a detail for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, NamedTuple

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
DOCUMENTS = "/docs"


class Kind(NamedTuple):
    """The status that a reason has, and what it means."""

    status: int
    meaning: str


# The reasons of films are the reader's, and too_costly.
REASONS = {
    "malformed_request": Kind(400, "not a request of HTTP/1.1, or one that two servers could read in two ways"),
    "malformed_form": Kind(400, "the body is not what multipart/form-data is like"),
    "no_film": Kind(400, "a form without a film"),
    "unknown_host": Kind(400, "called by a name that is not the service's"),
    "token": Kind(401, "the service's token was not shown"),
    "foreign_origin": Kind(403, "a page of another site asks"),
    "not_found": Kind(404, "there is no such path"),
    "no_such_model": Kind(404, "no bundle of this name is served"),
    "method_not_allowed": Kind(405, "not with this method"),
    "too_slow": Kind(408, "the body did not come in time"),
    "too_large": Kind(413, "a body, or a picture, over the limit"),
    "too_many_films": Kind(413, "more films than one request may have"),
    "unsupported_media_type": Kind(415, "the Content-Type is none of films"),
    "not_an_image": Kind(415, "the bytes are no film"),
    "unsupported_encoding": Kind(415, "a picture, but in an encoding that hilum does not read"),
    "empty": Kind(422, "a film of no bytes"),
    "inconsistent_header": Kind(422, "the film's header contradicts itself or its pixels"),
    "multi_frame": Kind(422, "a cine loop, a volume or an animation"),
    "truncated_pixel_data": Kind(422, "the film ends before its picture does"),
    "damaged": Kind(422, "the decoder refuses the film"),
    "out_of_range": Kind(422, "values that nothing says how to show"),
    "not_a_number": Kind(422, "the network gave no number for this film"),
    "too_costly": Kind(422, "judging the film took more time or memory than one may take"),
    "bad_parameter": Kind(422, "a parameter that is unknown or has no value that it can have"),
    "not_possible": Kind(422, "this bundle cannot do what is asked"),
    "busy": Kind(429, "more films at once than fit; Retry-After says when to try again"),
    "bug": Kind(500, "a fault of hilum's own"),
    "not_ready": Kind(503, "the service starts or stops"),
    "not_kept": Kind(507, "what was given to be kept, as a reading of `hilum label`, could not be written"),
}


class Problem(Exception):
    """What ends a request without an answer, for one of REASONS."""

    def __init__(self, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason, detail)
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})


def problem_response(problem: Problem, request_id: str, *, documented: bool = True) -> Response:
    """The problem as its client gets it. Its type leads to the documents, where there are any."""
    status = REASONS[problem.reason].status
    content = {
        "type": f"{DOCUMENTS}#{problem.reason}" if documented else "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": problem.detail,
        "reason": problem.reason,
        "request_id": request_id,
    }
    return Response(json.dumps(content), status, problem.headers, MEDIA_TYPE)


def described(*reasons: str) -> dict[int | str, dict[str, Any]]:
    """These problems as an OpenAPI document has them, with those that every request may meet."""
    found: dict[int | str, dict[str, Any]] = {}
    for reason in ("malformed_request", "unknown_host", "token", "foreign_origin", *reasons):
        status, meaning = REASONS[reason]
        answer = found.setdefault(status, {"description": "", "content": {MEDIA_TYPE: {"schema": SCHEMA}}})
        answer["description"] += f"{'; ' if answer['description'] else ''}`{reason}`: {meaning}"
    return found


SCHEMA = {
    "title": "Problem",
    "type": "object",
    "required": ["type", "title", "status", "detail", "reason", "request_id"],
    "properties": {
        "status": {"type": "integer"},
        **{name: {"type": "string"} for name in ("type", "title", "detail", "reason", "request_id")},
    },
}
