"""To a target by STOW-RS (PS3.18 10.5)."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPResponse
from pathlib import Path

from hilum.dicomweb.peer import MOST_JSON, Unreachable
from hilum.node.settings.target import Target
from hilum.node.targets.peer import peer_at
from hilum.node.targets.way import Refused, Store

STORED = (200, 202)
FAILED, REASON = "00081198", "00081197"
NO_ROOM, DUPLICATE = range(0xA700, 0xA800), 0x0111


class Stow:
    """A request for each result."""

    def __init__(self, target: Target) -> None:
        self._peer = peer_at(target.url, target.tls, target.credentials_file)

    @contextmanager
    def connect(self, asked: str) -> Iterator[Store]:
        """See Way."""
        yield self._store

    def _store(self, path: Path) -> str:
        boundary = secrets.token_hex(16)
        kind = f'multipart/related; type="application/dicom"; boundary={boundary}'
        head, end = f"--{boundary}\r\nContent-Type: application/dicom\r\n\r\n", f"\r\n--{boundary}--\r\n"
        body = head.encode() + path.read_bytes() + end.encode()
        with self._peer.asked("/studies", "application/dicom+json", body, kind) as answer:
            _check(answer)
        return ""


def _check(answer: HTTPResponse) -> None:
    status = answer.status
    if status not in (*STORED, 409):
        if status >= 500 or status in (401, 403, 404, 408, 429):  # as it may be put right there
            raise Unreachable(f"answers with status {status}")
        raise Refused(f"refuses it (status {status})")
    reasons = _failures(answer.read(MOST_JSON))
    if any(reason in NO_ROOM for reason in reasons):
        raise Unreachable("has no room")
    if status == 409 and not reasons:
        raise Refused("refuses it (status 409)")
    for reason in reasons:
        if reason != DUPLICATE:
            raise Refused(f"refuses it (reason {reason:04X})")


def _failures(content: bytes) -> list[int]:
    """The reasons of all that was not stored; none where the answer is none in DICOM's JSON."""
    try:
        failed = json.loads(content)[FAILED].get("Value", [])
        return [int(one[REASON]["Value"][0]) for one in failed]
    except (ValueError, LookupError, TypeError, AttributeError):
        return []
