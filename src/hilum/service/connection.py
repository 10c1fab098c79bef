"""A connection that does not wait for ever: for a request's head, for a body that nobody reads, or for its reader."""

from __future__ import annotations

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from hilum.service.problems import Problem, problem_response

SECONDS_FOR_HEAD, SECONDS_TO_LINGER, SECONDS_TO_READ = 15, 3, 30
MOST_CONNECTIONS = 2000


class Connection(H11Protocol):
    """uvicorn's, whose parser bounds the head of a request and takes no smuggled one; the times are ours."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A client is there, and has to ask something."""
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            transport.abort()
        else:
            self._give_up_in(SECONDS_FOR_HEAD)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        self._go_on()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A part of a request."""
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._go_on()

    def on_response_complete(self) -> None:
        """The next request may come on this connection. Of this one's body there may be more, which is thrown away:
        a client that is still sending would not see an answer on a connection that was closed.
        """
        unread = self.conn.their_state is h11.SEND_BODY
        self._give_up_in(SECONDS_TO_LINGER if unread else SECONDS_FOR_HEAD)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """What is no HTTP is answered like all else, where no answer is under way, and the connection closed."""
        if self.cycle is not None:  # whoever still reads its body is to know that there is no more
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            answer = problem_response(Problem("malformed_request", "not a request of HTTP/1.1"), "")
            headers = [*answer.raw_headers, (b"connection", b"close")]
            head = h11.Response(status_code=400, headers=headers, reason=b"Bad Request")
            for event in (head, h11.Data(bytes(answer.body)), h11.EndOfMessage()):
                self.transport.write(self.conn.send(event) or b"")
        self.transport.close()

    def pause_writing(self) -> None:
        """The client does not read what it asked for."""
        super().pause_writing()
        self._give_up_in(SECONDS_TO_READ)

    def resume_writing(self) -> None:
        """It does."""
        super().resume_writing()
        self._go_on()

    def _give_up_in(self, seconds: float) -> None:
        self._go_on()
        self._timer = self.loop.call_later(seconds, self.transport.abort)

    def _go_on(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
