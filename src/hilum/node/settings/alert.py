"""Who hears of what goes wrong."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import urlsplit

from hilum.system.typed import Bounds

MAIL = re.compile(r"[^@\s<>,]+@[^@\s<>,]+")
SERVER = re.compile(r"[^\s:]+:\d{1,5}")


@dataclass(frozen=True, slots=True)
class Alert:
    """A webhook that takes JSON with a text, or mail; a target that fails counts after some minutes."""

    webhook: str = ""
    mail_to: list[str] = field(default_factory=list)
    mail_from: str = ""
    smtp: str = "localhost:25"
    every_minutes: Annotated[float, Bounds(lowest=0)] = 60
    after_minutes: Annotated[float, Bounds(lowest=0)] = 10

    def __post_init__(self) -> None:
        if not self.webhook and not self.mail_to:
            raise ValueError("alert: name a webhook, or whom to write to: mail_to = ['it@hospital']")
        if self.webhook and (
            urlsplit(self.webhook).scheme not in ("http", "https") or not urlsplit(self.webhook).hostname
        ):
            raise ValueError("alert.webhook: is no url; write it as in 'https://chat/hooks/1'")
        for address in [*self.mail_to, *([self.mail_from] if self.mail_to else [])]:
            if not MAIL.fullmatch(address):
                raise ValueError(f"alert: {address!r} is no address; mail_to and mail_from take such as 'it@hospital'")
        if not SERVER.fullmatch(self.smtp):
            raise ValueError("alert.smtp: is no server; write it as in 'localhost:25'")
