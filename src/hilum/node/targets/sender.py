"""Results to one target, as long as the node runs."""

from __future__ import annotations

import time
from threading import Event
from uuid import uuid4

from hilum.dicomweb.peer import Unreachable
from hilum.node.log import note, note_bug
from hilum.node.queue import Delivery, Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.target import Target
from hilum.node.spool import Spool
from hilum.node.targets.cstore import CStore
from hilum.node.targets.stow import Stow
from hilum.node.targets.way import Refused, Store, Way
from hilum.system.database import DatabaseError

AT_ONCE = 64  # results in one connection
PAUSE, OPEN_FOR = 0.5, 1.0
FIRST_WAIT, LONGEST_WAIT = 2.0, 300.0
COMMITS_WITHIN = 600.0


class Sender:
    """Sends what is due. `failing` is why the target could not be had at the last try."""

    def __init__(self, target: Target, settings: NodeSettings, spool: Spool, queue: Queue) -> None:
        self.name = target.name
        self.failing: str | None = None
        self.failing_since = 0.0
        self.sent = 0
        self._way: Way = Stow(target) if target.url else CStore(target, settings.title)
        self._commits = target.commitment
        self._patience = settings.give_up_hours * 3600
        self._spool = spool
        self._queue = queue

    def run(self, stopped: Event) -> None:
        """Until it is to stop; what is being sent then is sent."""
        seen = 0
        while not stopped.is_set():
            try:
                due = self._queue.due(self.name, AT_ONCE)
                if due:
                    self._send_all(due, stopped)
                    continue
            except DatabaseError as error:
                note(f"target {self.name}: {error}")
            except Exception as error:
                note_bug(f"target {self.name}", error)
                stopped.wait(FIRST_WAIT)
            seen = self._queue.wait(seen, PAUSE)

    def _send_all(self, due: list[Delivery], stopped: Event) -> None:
        left, asked, is_old = list(due), f"2.25.{uuid4().int}", False
        try:
            with self._way.connect(asked) as store:
                while left and not stopped.is_set():
                    self._send(store, left[0], asked)
                    left.pop(0)
                    if not left and not self._commits:  # which is asked for when the connection ends
                        left, is_old = self._soon(stopped), True
        except Unreachable as error:
            if not is_old:  # else the target may just have hung up meanwhile, and is called again
                self._put_off(left, str(error))

    def _soon(self, stopped: Event) -> list[Delivery]:
        """What is due within a moment, for which the connection stays open: calling takes longer than storing."""
        until, seen = time.monotonic() + OPEN_FOR, 0
        while not stopped.is_set() and (rest := until - time.monotonic()) > 0:
            if due := self._queue.due(self.name, AT_ONCE):
                return due
            seen = self._queue.wait(seen, min(rest, PAUSE))
        return []

    def _send(self, store: Store, delivery: Delivery, asked: str) -> None:
        if time.time() - delivery.since > self._patience:  # stored again and again, and never committed to
            self._give_up(delivery, f"{self.name} did not take the {delivery.kind} for good in time")
            return
        try:
            instance = store(self._spool.result(delivery.film, delivery.kind))
        except FileNotFoundError:
            self._give_up(delivery, f"the {delivery.kind} is no longer in the spool")
            return
        except Refused as error:
            self._give_up(delivery, f"{self.name} was sent the {delivery.kind} and {error}")
            return
        self.sent += 1
        self.failing = None
        if self._commits:
            self._queue.stored(delivery, instance, asked, COMMITS_WITHIN)
        elif self._queue.sent(delivery):
            self._spool.delivered(delivery.film)
            note(f"film {delivery.film}: all results sent")

    def _put_off(self, due: list[Delivery], reason: str) -> None:
        if self.failing is None:
            self.failing_since = time.time()
        self.failing = reason
        if not due:  # all of them are stored, and will be again if nobody commits to them
            note(f"target {self.name}: {reason}")
            return
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(due[0].tries, 10))
        note(f"target {self.name}: {reason}; {len(due)} results wait for {wait:g} s")
        for delivery in due:
            if time.time() - delivery.since > self._patience:
                self._give_up(delivery, f"{self.name} {reason}, and did so for {self._patience / 3600:g} hours")
            else:
                self._queue.postpone(delivery, wait, reason)

    def _give_up(self, delivery: Delivery, reason: str) -> None:
        self._queue.refused(delivery, reason)
        note(f"film {delivery.film}: dead letter: {reason}")
