"""Errors as problem details (RFC 9457): a status, a reason for programs and a detail for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from http import HTTPStatus

from starlette.responses import Response

MEDIA_TYPE = "application/problem+json"
# The reasons of a film that cannot be judged; all others are 422.
STATUS_OF_REASON = {
    "not_an_image": 415,
    "unsupported_encoding": 415,
    "too_large": 413,
}


class Problem(Exception):
    """What ends a request without an answer."""

    def __init__(self, status: int, reason: str, detail: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(status, reason, detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})

    @classmethod
    def of_film(cls, reason: str, detail: str) -> Problem:
        """A film that cannot be judged, for one of the reader's reasons."""
        return cls(STATUS_OF_REASON.get(reason, 422), reason, detail)


def problem_response(problem: Problem, request_id: str) -> Response:
    """The problem as its client gets it."""
    content = {
        "type": f"/docs#{problem.reason}",
        "title": HTTPStatus(problem.status).phrase,
        "status": problem.status,
        "detail": problem.detail,
        "reason": problem.reason,
        "request_id": request_id,
    }
    return Response(json.dumps(content), problem.status, problem.headers, MEDIA_TYPE)
