"""How much may be at hand at once: requests that are read or wait, and the bytes of their films."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from hilum.service.problems import Problem


class Admission:
    """Lets requests in while there is room, on one event loop. `wait` says in how many seconds to try again."""

    def __init__(self, requests: int, most_bytes: int, wait: Callable[[], int]) -> None:
        self.requests = 0
        self.bytes = 0
        self._most_requests = requests
        self._most_bytes = most_bytes
        self._wait = wait

    @contextmanager
    def request(self) -> Iterator[Held]:
        """A request that is let in, until it is answered."""
        if self.requests >= self._most_requests:
            raise self._full()
        self.requests += 1
        held = Held(self)
        try:
            yield held
        finally:
            held.release(held.bytes)
            self.requests -= 1

    def take(self, count: int) -> None:
        """Room for some bytes that came. What has come of a film counts, not what is announced, so that nobody can
        take room by announcing much and sending little.
        """
        if self.bytes + count > self._most_bytes:
            raise self._full()
        self.bytes += count

    def _full(self) -> Problem:
        headers = {"Retry-After": str(self._wait())}
        return Problem(429, "busy", "more films at once than fit; try again later", headers)


class Held:
    """The bytes that one request holds."""

    def __init__(self, admission: Admission) -> None:
        self.bytes = 0
        self._admission = admission

    def take(self, count: int) -> None:
        """More bytes came."""
        self._admission.take(count)
        self.bytes += count

    def release(self, count: int) -> None:
        """Some are no longer needed."""
        self._admission.bytes -= count
        self.bytes -= count
