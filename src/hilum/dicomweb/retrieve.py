"""A film's file, by WADO-RS (PS3.18 10.4): the one part of an answer in several parts."""

from __future__ import annotations

import logging
from collections.abc import Callable

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from hilum.dicomweb.peer import Peer, Pieces, Unreachable

FILM = 'multipart/related; type="application/dicom"; transfer-syntax=*'
# What it warns of is said here, in words that name the archive.
logging.getLogger("python_multipart").setLevel(logging.ERROR)
LONGEST_BOUNDARY = 200  # RFC 2046 allows 70, Orthanc sends 73


def retrieve(peer: Peer, path: str, take: Callable[[Pieces], None]) -> bool:
    """Hands the file of an instance to `take`, piece by piece; whether it is there. Raises Unreachable."""
    return peer.pieces(path, FILM, lambda kind, pieces: take(_only_part(kind, pieces)))


def _only_part(kind: str, pieces: Pieces) -> Pieces:
    """What stands between the boundaries of an answer that has one part."""
    boundary = parse_options_header(kind)[1].get(b"boundary", b"")
    if not 1 <= len(boundary) <= LONGEST_BOUNDARY:
        raise Unreachable("answers with what is not multipart/related")
    held: list[bytes] = []
    ended: list[bool] = []
    parser = MultipartParser(
        boundary,
        {
            "on_part_data": lambda data, start, end: held.append(data[start:end]),
            "on_end": lambda: ended.append(True),
        },
    )
    for piece in pieces:
        try:
            parser.write(piece)
        except FormParserError:
            raise Unreachable("answers with what is not multipart/related") from None
        yield from held
        held.clear()
    if not ended:
        raise Unreachable("broke the connection off")
