"""A reading room on a port: on this machine alone, or with a token for each reader."""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import uvicorn

from hilum.dataset.manifest.csv_table import read_csv
from hilum.label.app import create_app
from hilum.label.films import RoomError
from hilum.label.room import Room
from hilum.service.server import BACKLOG, address_of, bind, check_certificate, manners, quiet_end
from hilum.service.settings import Settings
from hilum.system.rows import csv_text

TOKENS = "tokens.csv"
SECONDS_TO_FINISH = 10


def serve_room(settings: Settings, room: Room, on_start: Callable[[str], object]) -> None:
    """Serve until a signal stops it; what was given is kept already. Raises OSError if the port cannot be had."""
    check_certificate(settings)
    with bind(settings.host, settings.port) as listening, quiet_end():
        on_start(address_of(listening, settings))
        config = uvicorn.Config(
            partial(create_app, settings, room),
            factory=True,
            backlog=BACKLOG,
            timeout_graceful_shutdown=SECONDS_TO_FINISH,
            **manners(settings.cert, settings.key),
        )
        uvicorn.Server(config).run([listening])


def tokens_of(out: Path, readers: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """A token for each reader, made once and kept in the room's folder, for its owner alone to read and hand out."""
    path = out / TOKENS
    known = {row[0]: row[1] for row in read_csv(path, RoomError).rows} if path.exists() else {}
    new = [reader for reader in readers if reader not in known]
    if new:
        known |= {reader: secrets.token_urlsafe(18) for reader in new}
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with open(descriptor, "w", encoding="utf-8", newline="") as file:  # noqa: PTH123
            file.write(csv_text([("reader", "token"), *known.items()]))
    return tuple((reader, known[reader]) for reader in readers)
