"""A machine that falls silent, as without power: its connections stay open, and who waits for it would do so for long.

Each process says every few seconds that it is there, in torchrun's store, and looks whether the others do. The one that
finds another silent is waiting for it, deep within torch, so nothing can be raised there: it says so and ends.
"""

from __future__ import annotations

import os
import sys
import time
from datetime import timedelta
from threading import Event, Thread
from typing import Any

from torch import distributed as dist

EVERY, SILENT = 5.0, 120.0  # seconds


class Silence:
    """Watches the other processes from a thread within `with`. `advice` is what it says of going on."""

    def __init__(self, rank: int, count: int, advice: str) -> None:
        self._advice = advice
        self._rank, self._others = rank, [other for other in range(count) if other != rank]
        self._closed = Event()
        self._heard = dict.fromkeys(self._others, time.monotonic())
        self._asked = time.monotonic()  # when the store answered last: it may be gone with the machine that keeps it

    def __enter__(self) -> None:
        for work in (self._say_and_look, self._judge):
            Thread(target=work, daemon=True).start()

    def __exit__(self, *_: object) -> None:
        self._closed.set()

    def _say_and_look(self) -> None:
        try:
            store = _own_store()
            said: dict[int, bytes] = {}
            number = 0
            while not self._closed.wait(EVERY):
                number += 1
                store.set(str(self._rank), str(number))
                for other in self._others:
                    if store.check([str(other)]) and (heard := store.get(str(other))) != said.get(other):
                        said[other], self._heard[other] = heard, time.monotonic()
                self._asked = time.monotonic()
        except (dist.DistError, RuntimeError):
            self._closed.set()  # connections that break are noticed where they are used

    def _judge(self) -> None:
        while not self._closed.wait(EVERY):
            now = time.monotonic()
            silent = [rank for rank, heard in self._heard.items() if now - heard > SILENT]
            if now - self._asked > SILENT:  # nothing is known of others, then
                silent = [0]
            if silent and not self._closed.is_set():
                self._end(silent)

    def _end(self, silent: list[int]) -> None:
        """The first one that is left says it."""
        if self._rank == min({self._rank, *self._others} - set(silent)):
            who = f"rank {', '.join(map(str, silent))} of {len(self._others) + 1}"
            print(f"{who} has been silent for {SILENT:g} s; {self._advice}", file=sys.stderr, flush=True)
        os._exit(1)


def _own_store() -> Any:
    """A connection to torchrun's store that nobody else waits on."""
    place, port = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
    torch_dist: Any = dist  # which exports what it does not declare
    store = torch_dist.TCPStore(place, port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=SILENT))
    return torch_dist.PrefixStore(f"hilum/{os.environ.get('TORCHELASTIC_RESTART_COUNT', 0)}", store)
