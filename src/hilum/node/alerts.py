"""Whoever looks after the node hears of what goes wrong: by mail or webhook, once, with nothing of a film in it."""

from __future__ import annotations

import json
import smtplib
import ssl
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate
from threading import Event
from urllib.parse import urlsplit

from hilum.dicomweb.peer import Peer, Unreachable
from hilum.node.log import note, note_bug
from hilum.node.running import Running
from hilum.node.settings.alert import Alert
from hilum.system.database import DatabaseError

PAUSE, SECONDS, AGAIN_AFTER = 2.0, 30.0, 60.0
Problems = dict[str, str]


class Alerts:
    """Looks at a node, and tells of problems that are new, all of them in one message and not more often than asked."""

    def __init__(self, alert: Alert, running: Running) -> None:
        self._alert = alert
        self._node = running
        self._told: set[str] = set()
        self._next = 0.0
        self._since: dict[str, float] = {}

    def run(self, stopped: Event) -> None:
        """Until it is to stop."""
        while not stopped.wait(PAUSE):
            try:
                self.look(time.time())
            except DatabaseError as error:
                note(f"alert: {error}")
            except Exception as error:
                note_bug("alert", error)

    def look(self, now: float) -> None:
        """Tell of what is wrong now, if there is anything new."""
        problems = dict(self._problems(now))
        self._told &= problems.keys()  # what is over may come again
        if problems.keys() <= self._told or now < self._next:
            return
        every = 60 * self._alert.every_minutes
        told = all([self._tell(way, list(problems.values())) for way in ("webhook", "mail")])
        self._next = now + (every if told else min(every, AGAIN_AFTER))
        if told:
            self._told = set(problems)

    def _problems(self, now: float) -> Iterator[tuple[str, str]]:
        """Each by a key that stays as long as it does, and in words."""
        letters = self._node.queue.dead_letters()
        if letters:
            yield f"dead letters up to {letters[-1].number}", f"{len(letters)} dead letters; hilum node status says why"
        for model, standing in self._node.monitors.standings().items():
            if standing["alarm"] is not None:
                yield f"drift {model}", f"the films of {model} are of another kind than those it knows; see its log"
        patience = 60 * self._alert.after_minutes
        # It is not ready for some seconds after each start.
        self._since = {reason: self._since.get(reason, now) for reason in self._node.not_ready()}
        yield from ((reason, reason) for reason, since in self._since.items() if now - since >= patience)
        for sender in self._node.senders:
            if sender.failing is not None and now - sender.failing_since > patience:
                yield f"target {sender.name}", f"target {sender.name} {sender.failing}; its results wait"
        for asking in self._node.asking:
            if asking.failing is not None and now - asking.failing_since > patience:
                yield f"catch_up {asking.title}", f"catching up with {asking.title}: {asking.failing}"

    def _tell(self, way: str, problems: list[str]) -> bool:
        """Whether that could be done, where it is asked for."""
        text = "\n".join([f"hilum node {self._node.settings.title}:", *problems])
        try:
            if way == "webhook" and self._alert.webhook:
                _post(self._alert.webhook, text)
            elif way == "mail" and self._alert.mail_to:
                _mail(self._alert, f"hilum node {self._node.settings.title}: {problems[0]}", text)
        except (Unreachable, OSError, smtplib.SMTPException) as error:
            reason = str(error) if isinstance(error, Unreachable) else type(error).__name__
            note(f"alert: the {way} could not be had: {reason}")
            return False
        return True


def _post(url: str, text: str) -> None:
    """As chats take it: JSON with a text."""
    parts = urlsplit(url)
    path = f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}"
    body = json.dumps({"text": text}).encode()
    with Peer(f"{parts.scheme}://{parts.netloc}").asked(path, "*/*", body, "application/json") as answer:
        if not 200 <= answer.status < 300:
            raise Unreachable(f"answers with status {answer.status}")


def _mail(alert: Alert, subject: str, text: str) -> None:
    message = EmailMessage()
    message["Subject"], message["Date"] = subject, formatdate()
    message["From"], message["To"] = alert.mail_from, ", ".join(alert.mail_to)
    message.set_content(text)
    host, _, port = alert.smtp.rpartition(":")
    with smtplib.SMTP(host, int(port), timeout=SECONDS) as server:
        server.ehlo()
        if server.has_extn("starttls"):
            server.starttls(context=ssl.create_default_context())
        server.send_message(message)
