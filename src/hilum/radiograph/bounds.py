"""What a file claims of its size, read from its first bytes, so that nothing is allocated on a false claim.

Written by hand because every codec library parses the size and allocates in one step.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from hilum.radiograph.errors import ReadError, Reason

MAX_FILE_BYTES = 512 * 1024 * 1024
# A progressive JPEG normally has about 10 scans; each one costs a pass over the whole picture.
MAX_JPEG_SCANS = 200
MAX_JPEG_SEGMENTS, MAX_JPEG_JUNK = 1000, 100_000  # the largest color profile takes 255 segments
MAX_PNG_CHUNKS = 100_000  # at the usual 8 KB each, more than a file may hold
MAX_JPEG2000_TILES, MAX_JPEG2000_PARTS = 4096, 100_000
LARGE_PIXELS, MAX_PIXELS_A_BYTE = 16_000_000, 1000  # only blank pictures compress further
START_OF_FRAME = frozenset({*range(0xC0, 0xD0), 0xF7}) - {0xC4, 0xC8, 0xCC}
SEQUENTIAL = frozenset({0xC0, 0xC1})
LOSSLESS = frozenset({0xC3, 0xC7, 0xCB, 0xCF})
JPEG_LS = 0xF7


class Claim(NamedTuple):
    """The size and kind of samples that a compressed picture claims. `process` is a JPEG's start-of-frame marker."""

    width: int
    height: int
    components: int
    precision: int
    signed: bool = False
    process: int = 0


def check_size(width: int, height: int, max_megapixels: float) -> None:
    """The limit on what is decoded, asked before every allocation that follows from a claim."""
    if width < 1 or height < 1:
        raise ReadError(Reason.INCONSISTENT_HEADER, f"the header claims a picture of {width} x {height} pixels")
    if width * height > max_megapixels * 1e6:
        raise ReadError(
            Reason.TOO_LARGE,
            f"the header claims {width} x {height} pixels, over the limit of {max_megapixels:g} megapixels; "
            "raise max_megapixels if the file is trusted",
        )


def check_density(pixels: int, byte_count: int) -> None:
    """A few bytes that claim a huge picture keep a decoder busy for seconds before it notices that they end."""
    if pixels > LARGE_PIXELS and pixels > MAX_PIXELS_A_BYTE * byte_count:
        raise ReadError(
            Reason.TRUNCATED_PIXEL_DATA, f"{byte_count:,} bytes cannot hold {pixels:,} pixels; copy the file again"
        )


def jpeg_claim(data: bytes) -> Claim:
    """The frame header of a JPEG or JPEG-LS stream, and that its first scan comes before a decoder gets lost.

    Pillow walks to the first scan in Python, byte by byte where it finds no segment, and copies all EXIF it has met
    with each further segment of it: a large file of nothing else would keep it busy for hours.
    """
    claim: Claim | None = None
    position, segments, junk = 2, 0, 0
    while segments <= MAX_JPEG_SEGMENTS and junk <= MAX_JPEG_JUNK:
        start = data.find(b"\xff", position)
        if start < 0 or start + 4 > len(data):
            if claim is None:
                break
            raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the JPEG ends before its picture does; copy the file again")
        junk += start - position
        marker = data[start + 1]
        if marker in (0xFF, 0x00, 0x01) or 0xD0 <= marker <= 0xD8:  # fill bytes and markers without a body
            junk += 1
            position = start + (1 if marker == 0xFF else 2)
            continue
        position = start + 2 + int.from_bytes(data[start + 2 : start + 4], "big")
        segments += 1
        if marker in START_OF_FRAME and claim is None:
            claim = _frame_header(marker, data[start + 4 : start + 10])
        elif marker == 0xDA and claim is not None:
            return claim
        elif marker in (0xD9, 0xDA):
            break
        elif marker == 0xC8 or marker >= 0xF0:  # extensions, whose bodies Pillow takes for junk
            junk += position - start
    else:
        raise ReadError(Reason.TOO_LARGE, "the JPEG has more in front of its picture than any film")
    raise ReadError(Reason.DAMAGED, "the JPEG has no frame header; get the file again from its source")


def _frame_header(marker: int, header: bytes) -> Claim:
    if len(header) < 6:
        raise ReadError(Reason.DAMAGED, "the JPEG has no frame header; get the file again from its source")
    precision, height, width, components = struct.unpack(">BHHB", header)
    if height == 0:
        raise ReadError(Reason.UNSUPPORTED_ENCODING, "the JPEG states its height after the picture (DNL)")
    return Claim(width, height, components, precision, process=marker)


def check_jpeg_scans(data: bytes, claim: Claim) -> None:
    """A small file of thousands of scans would keep a decoder busy for minutes."""
    if claim.components == 1 and claim.process in SEQUENTIAL:
        return  # decoders read its one scan and stop
    scans = data.count(b"\xff\xda")
    if scans > MAX_JPEG_SCANS:
        raise ReadError(Reason.TOO_LARGE, f"the JPEG has {scans} scans; real films have at most a few dozen")


def jpeg2000_claim(data: bytes, max_megapixels: float) -> Claim:
    """The size marker of a JPEG 2000 codestream, bare or in a JP2 box."""
    start = data.find(b"\xff\x4f\xff\x51")
    if start < 0 or len(data) < start + 43:
        raise ReadError(Reason.DAMAGED, "the JPEG 2000 stream has no size marker; get the file again from its source")
    right, bottom, left, top, tile_width, tile_height = struct.unpack_from(">6I", data, start + 8)
    components, depth = struct.unpack_from(">HB", data, start + 40)
    width, height = right - left, bottom - top
    check_size(width, height, max_megapixels)
    tiles = -(-right // tile_width) * -(-bottom // tile_height) if tile_width and tile_height else 0
    if not 1 <= tiles <= MAX_JPEG2000_TILES:
        raise ReadError(Reason.TOO_LARGE, f"the JPEG 2000 stream claims {tiles} tiles")
    return Claim(width, height, components, (depth & 0x7F) + 1, signed=bool(depth & 0x80))


def png_claim(data: bytes) -> Claim:
    """The header chunk of a PNG, which comes first."""
    if len(data) < 33 or data[12:16] != b"IHDR":
        raise ReadError(Reason.DAMAGED, "the PNG has no header chunk; get the file again from its source")
    width, height, precision, color_type = struct.unpack_from(">IIBB", data, 16)
    components = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}.get(color_type)
    if components is None:
        raise ReadError(Reason.INCONSISTENT_HEADER, f"the PNG header states the unknown color type {color_type}")
    return Claim(width, height, components, precision)


def still_png(data: bytes) -> bytes:
    """The PNG without the chunks of an animation, which readers that know of none pass over, as the standard asks.

    Pillow follows them, and of several headers the last, whatever the first one says: so one of each is all there
    may be. What it makes of a damaged animation are assertions and warnings.
    """
    kept: list[bytes] = []
    kept_from, position = 0, 8
    for number in range(MAX_PNG_CHUNKS):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + 12 + length
        if kind == b"IHDR" and number > 0:
            raise ReadError(Reason.INCONSISTENT_HEADER, "the PNG has several headers; save the film again")
        if kind == b"acTL" and length >= 8 and int.from_bytes(data[position + 8 : position + 12], "big") > 1:
            raise ReadError(Reason.MULTI_FRAME, "an animated PNG; save the one film that is meant as its own file")
        if kind in (b"acTL", b"fcTL", b"fdAT"):
            kept.append(data[kept_from:position])
            kept_from = end
        if kind == b"IEND" or end + 8 > len(data):  # without an end it is cut short, which decoding it will say
            return b"".join([*kept, data[kept_from:]]) if kept else data
        position = end
    raise ReadError(Reason.TOO_LARGE, f"a PNG of more than {MAX_PNG_CHUNKS:,} chunks, as no film has")


def check_jpeg2000_complete(data: bytes) -> None:
    """OpenJPEG fills what is missing with black, so a stream that ends inside a tile is refused here."""
    position = data.find(b"\xff\x4f\xff\x51") + 2
    parts = 0
    while position < len(data) and data[position : position + 2] != b"\xff\x90":
        position += 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        if (parts := parts + 1) > MAX_JPEG2000_PARTS:
            raise ReadError(Reason.TOO_LARGE, "the JPEG 2000 stream has more in front of its picture than any film")
    while data[position : position + 2] == b"\xff\x90":
        if (parts := parts + 1) > MAX_JPEG2000_PARTS:
            raise ReadError(Reason.TOO_LARGE, "the JPEG 2000 stream has more parts than any film")
        length = int.from_bytes(data[position + 6 : position + 10], "big")
        if length == 0:  # the last tile runs to the end of the stream
            return
        position += max(length, 12)
    if position > len(data):
        raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the JPEG 2000 stream ends inside a tile; copy the file again")


def check_jpeg_ls_end(data: bytes) -> None:
    """Without the end marker CharLS can go on reading zeros for seconds. Some writers pad behind it, with FF too."""
    if not data.rstrip(b"\0\xff").endswith(b"\xff\xd9"):
        raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the JPEG-LS stream has no end; copy the file again")
