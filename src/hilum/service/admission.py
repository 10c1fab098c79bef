"""How much may be at hand at once: requests whose films wait to be judged, and the bytes of all films."""

from __future__ import annotations

from collections.abc import Callable

from hilum.service.problems import Problem


class Admission:
    """Room for films, on one event loop. `wait` says in how many seconds to try again where there is none.

    A request takes its place in the line with its first whole film, and room by what has come of its body: so nobody
    can keep others out by announcing much and sending little.
    """

    def __init__(self, queue: int, most_bytes: int, wait: Callable[[], int]) -> None:
        self.requests = 0
        self.bytes = 0
        self._queue = queue
        self._most_bytes = most_bytes
        self._wait = wait

    def request(self) -> Held:
        """A request that has just come; it is refused at once where it would be later."""
        self._check(self.requests < self._queue)
        return Held(self)

    def _check(self, room: bool) -> None:
        if not room:
            headers = {"Retry-After": str(self._wait())}
            raise Problem("busy", "more films at once than fit; try again later", headers)

    def _enter(self) -> None:
        self._check(self.requests < self._queue)
        self.requests += 1

    def _take(self, count: int) -> None:
        self._check(self.bytes + count <= self._most_bytes)
        self.bytes += count


class Held:
    """What one request holds, until the block of its `with` ends."""

    def __init__(self, admission: Admission) -> None:
        self._admission = admission
        self._bytes = 0
        self._in_line = False

    def __enter__(self) -> Held:
        return self

    def __exit__(self, *_: object) -> None:
        self.release(self._bytes)
        self._admission.requests -= self._in_line

    def enter(self) -> None:
        """A film is whole."""
        if not self._in_line:
            self._admission._enter()
            self._in_line = True

    def take(self, count: int) -> None:
        """More bytes came."""
        self._admission._take(count)
        self._bytes += count

    def release(self, count: int) -> None:
        """Some are no longer needed."""
        self._admission.bytes -= count
        self._bytes -= count
