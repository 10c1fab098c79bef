"""The one family of errors that a file's content can cause."""

from __future__ import annotations

from enum import StrEnum


class Reason(StrEnum):
    """Why a file cannot become a Radiograph; programs may switch on it, its values never change meaning.

    >>> hilum.Reason("damaged") is hilum.Reason.DAMAGED
    True
    """

    EMPTY = "empty"
    NOT_AN_IMAGE = "not_an_image"
    UNSUPPORTED_ENCODING = "unsupported_encoding"
    INCONSISTENT_HEADER = "inconsistent_header"
    MULTI_FRAME = "multi_frame"
    TOO_LARGE = "too_large"
    TRUNCATED_PIXEL_DATA = "truncated_pixel_data"
    DAMAGED = "damaged"
    OUT_OF_RANGE = "out_of_range"


class ReadError(ValueError):
    """A file that cannot be read as a radiograph.

    `detail` says what is wrong and what to do about it. It never quotes text from the file, which may name a patient.

    >>> try:
    ...     hilum.read(b"a letter")
    ... except hilum.ReadError as error:
    ...     print(error.reason)
    not_an_image
    """

    def __init__(self, reason: Reason, detail: str, source: str | None = None) -> None:
        super().__init__(reason, detail, source)
        self.reason = reason
        self.detail = detail
        self.source = source

    def __str__(self) -> str:
        where = f"{self.source}: " if self.source else ""
        return f"{where}{self.reason}: {self.detail}"
