"""Answers with pictures as multipart/mixed (RFC 2046), each film's JSON before its pictures."""

from __future__ import annotations

import secrets

from starlette.responses import Response

from hilum.service.films.served import Answer, Wanted

MEDIA_TYPE = "multipart/mixed"


def mixed_response(answers: list[Answer], wanted: Wanted) -> Response:
    """All films in their order. A picture that cannot be, as the heatmap of a film that was turned away, has no part;
    each part's name says which film it is of.
    """
    boundary = secrets.token_hex(16)
    parts: list[bytes] = []
    for number, answer in enumerate(answers):
        parts.append(_part(boundary, "application/json", f"prediction-{number}", answer.line + b"\n"))
        for kind, picture in zip(wanted.pictures, answer.pictures, strict=True):
            if picture:
                parts.append(_part(boundary, "image/png", f"{kind}-{number}", picture))
    content = b"".join([*parts, f"--{boundary}--\r\n".encode()])
    return Response(content, media_type=f"{MEDIA_TYPE}; boundary={boundary}")


def _part(boundary: str, media_type: str, name: str, content: bytes) -> bytes:
    head = f'--{boundary}\r\nContent-Type: {media_type}\r\nContent-Disposition: inline; name="{name}"\r\n\r\n'
    return head.encode() + content + b"\r\n"
