"""The body of a request, read as it comes into bounded memory: one film, or several as multipart/form-data."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from email.message import Message

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser
from starlette.requests import ClientDisconnect, Request

from hilum.service.admission import Held
from hilum.service.problems import Problem

FILM_TYPES = ("application/dicom", "image/jpeg", "image/png")
FORM_TYPE = "multipart/form-data"
# A body that comes in drops would keep its place for ever.
SECONDS_OF_GRACE, LEAST_BYTES_A_SECOND = 10, 16_000
MOST_FILMS = 100


async def films_of(request: Request, held: Held, most_bytes: int) -> AsyncIterator[bytearray]:
    """The films of a request, each as soon as it is whole. Raises Problem or ClientDisconnect."""
    kind, boundary = _content_type(request)
    pieces = pieces_of(request, held.take, most_bytes)
    if kind in FILM_TYPES:
        film = bytearray()  # not a list, which many tiny pieces would make larger than what came
        async for piece in pieces:
            film += piece
        yield film
        return
    form = _Form(boundary)
    async for piece in pieces:
        for film_of_form in form.feed(piece):
            yield film_of_form
    form.check_complete()


def _content_type(request: Request) -> tuple[str, str]:
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    kind = header.get_content_type()
    if kind in FILM_TYPES:
        return kind, ""
    if kind != FORM_TYPE:
        raise Problem(
            "unsupported_media_type",
            f"send a film as its bytes, with Content-Type {', '.join(FILM_TYPES)}, or films as {FORM_TYPE}",
        )
    boundary = header.get_param("boundary")
    if not isinstance(boundary, str) or not boundary.isascii() or not 1 <= len(boundary) <= 70:
        raise Problem("malformed_form", f"{FORM_TYPE} without a boundary that could be one")
    return kind, boundary


async def pieces_of(request: Request, take: Callable[[int], object], most_bytes: int) -> AsyncIterator[bytes]:
    """The body's pieces, never more than `most_bytes` of them, and never waited for without an end."""
    too_large = Problem("too_large", f"a body of more than {most_bytes >> 20} MB; send fewer films at once")
    if int(request.headers.get("content-length", 0)) > most_bytes:
        raise too_large
    clock = asyncio.get_running_loop().time
    began, size, more = clock(), 0, True
    while more:
        patience = SECONDS_OF_GRACE + size / LEAST_BYTES_A_SECOND - (clock() - began)
        try:
            async with asyncio.timeout(patience):
                message = await request.receive()
        except TimeoutError:
            raise Problem("too_slow", "the body did not come in time") from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece, more = message.get("body", b""), message.get("more_body", False)
        size += len(piece)
        if size > most_bytes:
            raise too_large
        take(len(piece))
        yield piece


class Parts(ABC):
    """The parts of a body, which is a form or the like, as its parser finds them; what becomes of them a kind says."""

    what, kind = "body", FORM_TYPE

    def __init__(self, boundary: str) -> None:
        self._name = self._value = b""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self.begin,
                "on_header_field": self._add_to_name,
                "on_header_value": self._add_to_value,
                "on_header_end": self._take_header,
                "on_part_data": self._add,
                "on_part_end": self.finish,
                "on_end": self._end,
            },
        )

    def write(self, piece: bytes) -> None:
        """Go on with the next piece of the body."""
        try:
            self._parser.write(piece)
        except FormParserError:
            raise Problem("malformed_form", f"the {self.what} is not what {self.kind} is like") from None

    def check_ended(self) -> None:
        """Refuse a body that stops before its end."""
        if not self._ended:
            raise Problem("malformed_form", f"the {self.what} stops before its last boundary")

    @abstractmethod
    def begin(self) -> None:
        """A part begins."""

    @abstractmethod
    def header(self, name: bytes, value: bytes) -> None:
        """One of its headers, in lower case."""

    @abstractmethod
    def add(self, data: memoryview) -> None:
        """More of its content."""

    @abstractmethod
    def finish(self) -> None:
        """It is whole."""

    def _add_to_name(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _add_to_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _take_header(self) -> None:
        self.header(self._name.lower(), self._value.lower())
        self._name = self._value = b""

    def _add(self, data: bytes, start: int, end: int) -> None:
        self.add(memoryview(data)[start:end])

    def _end(self) -> None:
        self._ended = True


class _Form(Parts):
    """Films out of a form, into memory."""

    what = "form"

    def __init__(self, boundary: str) -> None:
        super().__init__(boundary)
        self._whole: list[bytearray] = []
        self._film: bytearray | None = None
        self._count = 0

    def feed(self, piece: bytes) -> list[bytearray]:
        """The films that end in this piece."""
        self.write(piece)
        whole, self._whole = self._whole, []
        return whole

    def check_complete(self) -> None:
        """Refuse a form that stops before its end, or has no film."""
        self.check_ended()
        if not self._count:
            raise Problem("no_film", "the form has no film; add one, as in curl -F film=@FILE")

    def begin(self) -> None:
        self._film = None

    def header(self, name: bytes, value: bytes) -> None:
        # What the file is called is nobody's business but its sender's.
        if name == b"content-disposition" and b"filename" in value:
            self._film = bytearray()

    def add(self, data: memoryview) -> None:
        if self._film is None:
            raise Problem("malformed_form", "a field that is no file; what is asked of films goes to the query")
        self._film += data

    def finish(self) -> None:
        if self._film is None:
            return
        self._count += 1
        if self._count > MOST_FILMS:
            raise Problem("too_many_films", f"more than {MOST_FILMS} films at once; send them in several requests")
        self._whole.append(self._film)
