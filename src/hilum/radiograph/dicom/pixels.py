"""From the pixel element of a DICOM file to stored values, by the shortest path its encoding allows.

The codestream is recognized by its content, its size compared with the header's before anything is allocated, and then
handed to the library that decodes it best.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Literal, NoReturn

import jpeg_ls
import numpy as np
from numpy.typing import NDArray
from openjpeg.utils import decode as decode_jpeg2000
from pydicom.config import IGNORE
from pydicom.uid import UID

from hilum.radiograph.bounds import (
    JPEG_LS,
    LOSSLESS,
    Claim,
    check_density,
    check_jpeg2000_complete,
    check_jpeg_ls_end,
    check_jpeg_scans,
    check_size,
    jpeg2000_claim,
    jpeg_claim,
)
from hilum.radiograph.dicom import header as tags
from hilum.radiograph.dicom.header import Opened
from hilum.radiograph.dicom.rle import decode_rle
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.quiet import quiet
from hilum.radiograph.raster import decode_jpeg
from hilum.system.installed import install_extra

NATIVE = (None, tags.IMPLICIT_LITTLE, tags.EXPLICIT_LITTLE, tags.EXPLICIT_BIG, tags.DEFLATED)
LONG_VRS = (b"OB", b"OW", b"UN", b"OF", b"OD", b"OL", b"OV")
UNDEFINED = 0xFFFFFFFF
MAX_FRAGMENTS = 100_000
JPEG2000, JP2 = b"\xff\x4f\xff\x51", b"\x00\x00\x00\x0cjP  "
ITEM, END_OF_ITEMS = b"\xfe\xff\x00\xe0", b"\xfe\xff\xdd\xe0"
# What the codec libraries raise on damaged streams; their messages are not passed on, they mean little to a user.
CODEC_ERRORS = (RuntimeError, ValueError, TypeError, IndexError, KeyError, EOFError, OSError, struct.error)


@dataclass(frozen=True, slots=True)
class Layout:
    """What the header states of the pixels, checked."""

    rows: int
    columns: int
    samples: int
    allocated: int
    stored: int
    signed: bool
    photometric: str

    @property
    def byte_count(self) -> int:
        """What the pixels take where they are not compressed."""
        # YBR_FULL_422 shares its two color samples between two neighbors
        samples = 2 if self.photometric == "YBR_FULL_422" else self.samples
        return self.rows * self.columns * samples * (self.allocated // 8)


@dataclass(frozen=True, slots=True)
class Stored:
    """Stored values as unsigned words, of which the lowest `bits` count; `bits` comes from the codestream if there is
    one, since headers are often wrong about it."""

    values: NDArray[np.unsignedinteger]
    bits: int
    signed: bool


def read_stored(opened: Opened, layout: Layout, at_least: int | None, max_megapixels: float) -> Stored:
    """The stored values of a film with one sample a pixel."""
    encapsulated, value = _pixel_element(opened, layout)
    if not encapsulated:
        return Stored(_native_values(opened, layout, value), layout.stored, layout.signed)
    frame = _one_frame(value)
    if frame.startswith(b"\xff\xd8"):
        return _decode_jpeg_family(frame, layout, at_least, max_megapixels)
    if frame.startswith(JPEG2000):
        return _decode_jpeg2000(frame, layout, max_megapixels)
    if opened.transfer_syntax == tags.RLE:
        return _decode_rle(frame, layout)
    _refuse_encoding(opened)


def read_color(opened: Opened, layout: Layout, max_megapixels: float) -> NDArray[np.unsignedinteger]:
    """RGB values. Color films are rare secondary captures, so pydicom's decoders do all of it."""
    from pydicom.pixels.decoders.base import get_decoder

    encapsulated, value = _pixel_element(opened, layout)
    if encapsulated:
        frame = _one_frame(value)
        if frame.startswith(b"\xff\xd8"):
            claim = jpeg_claim(frame)
            _check_stream(claim, frame, layout, max_megapixels)
            check_jpeg_scans(frame, claim)
        elif frame.startswith(JPEG2000):
            _check_stream(jpeg2000_claim(frame, max_megapixels), frame, layout, max_megapixels)
        elif opened.transfer_syntax == tags.RLE:
            # for its bounds only: pydicom's decoder also knows how to put color together
            decode_rle(frame, layout.samples * layout.allocated // 8, layout.rows * layout.columns)
        else:  # whatever it is, pydicom may walk through it without end
            _refuse_encoding(opened)
        value = _encapsulate(frame)
    options: Any = {
        "rows": layout.rows,
        "columns": layout.columns,
        "number_of_frames": 1,
        "samples_per_pixel": layout.samples,
        "bits_allocated": layout.allocated,
        "bits_stored": layout.stored,
        "pixel_representation": int(layout.signed),
        "photometric_interpretation": layout.photometric,
        "planar_configuration": opened.header.word(tags.PLANAR) or 0,
        "pixel_keyword": "PixelData",
    }
    try:
        with quiet():
            transfer_syntax = UID(opened.transfer_syntax or tags.EXPLICIT_LITTLE, validation_mode=IGNORE)
            values, _ = get_decoder(transfer_syntax).as_array(value, **options)
    except (*CODEC_ERRORS, NotImplementedError, AttributeError) as error:
        raise ReadError(
            Reason.UNSUPPORTED_ENCODING, f"a color picture that cannot be decoded ({opened.encoding}); export it as PNG"
        ) from error
    if values.shape != (layout.rows, layout.columns, 3):  # some decoders go by the codestream and not by the header
        raise ReadError(
            Reason.INCONSISTENT_HEADER, "the color picture is not of the size its header states; export it as PNG"
        )
    return values


def _pixel_element(opened: Opened, layout: Layout) -> tuple[bool, bytes]:
    """Whether the pixels are encapsulated, and their bytes (native ones no more than the header needs)."""
    file = opened.file
    order: Literal["little", "big"] = "little" if opened.header.little_endian else "big"
    start = file.read(12)
    vr = start[4:6]
    if vr in LONG_VRS:
        length = int.from_bytes(start[8:12], order)
    else:  # implicit VR: the length follows the tag at once
        length = int.from_bytes(start[4:8], order)
        file.seek(-4, 1)
    if length == UNDEFINED:
        return True, file.read()
    if opened.transfer_syntax not in NATIVE:
        value = file.read(length)
        if value.startswith(ITEM):
            return True, value
        raise ReadError(
            Reason.INCONSISTENT_HEADER,
            f"the header states {opened.encoding}, but the pixels are not encapsulated as that needs",
        )
    value = file.read(min(length, layout.byte_count))
    if len(value) < layout.byte_count:
        raise ReadError(
            Reason.TRUNCATED_PIXEL_DATA,
            f"the pixels end after {len(value):,} of {layout.byte_count:,} bytes; copy the file again",
        )
    if vr == b"OW" and layout.allocated == 8 and not opened.header.little_endian:
        value = np.frombuffer(value[: len(value) & ~1], "<u2").byteswap().tobytes() + value[len(value) & ~1 :]
    return False, value


def _native_values(opened: Opened, layout: Layout, value: bytes) -> NDArray[np.unsignedinteger]:
    order = "<" if opened.header.little_endian else ">"
    values = np.frombuffer(value, f"{order}u{layout.allocated // 8}").reshape(layout.rows, layout.columns)
    return values.astype(values.dtype.newbyteorder("="), copy=False)


def _one_frame(value: bytes) -> bytes:
    """The fragments of a single-frame encapsulated value, joined."""
    fragments: list[bytes] = []
    position = 0
    while value[position : position + 4] == ITEM:
        if len(fragments) > MAX_FRAGMENTS:
            raise ReadError(Reason.TOO_LARGE, f"the pixels are in more than {MAX_FRAGMENTS:,} pieces, as no film's are")
        length = int.from_bytes(value[position + 4 : position + 8], "little")
        position += 8
        if position + length > len(value):
            raise ReadError(
                Reason.TRUNCATED_PIXEL_DATA,
                f"the compressed pixels end {position + length - len(value):,} bytes early; copy the file again",
            )
        fragments.append(value[position : position + length])
        position += length
    if len(fragments) < 2 or not any(fragments[1:]):  # the first item is the offset table
        raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the compressed pixels are missing; copy the file again")
    frame = b"".join(fragments[1:])
    # Some writers wrap the JPEG 2000 stream in a JP2 file, against the standard. Only the stream is kept: pydicom
    # never returns from walking a damaged wrapper.
    return frame[frame.find(JPEG2000) :] if frame.startswith(JP2) and JPEG2000 in frame else frame


def _encapsulate(frame: bytes) -> bytes:
    frame += b"\0" * (len(frame) % 2)
    return ITEM + bytes(4) + ITEM + struct.pack("<I", len(frame)) + frame + END_OF_ITEMS + bytes(4)


def _check_stream(claim: Claim, frame: bytes, layout: Layout, max_megapixels: float) -> None:
    check_size(claim.width, claim.height, max_megapixels)
    check_density(claim.width * claim.height, len(frame))
    if claim.process == JPEG_LS:
        check_jpeg_ls_end(frame)
    if (claim.width, claim.height, claim.components) != (layout.columns, layout.rows, layout.samples):
        raise ReadError(
            Reason.INCONSISTENT_HEADER,
            f"the header states {layout.columns} x {layout.rows} x {layout.samples}, "
            f"the compressed picture is {claim.width} x {claim.height} x {claim.components}",
        )


def _decode_jpeg_family(frame: bytes, layout: Layout, at_least: int | None, max_megapixels: float) -> Stored:
    claim = jpeg_claim(frame)
    _check_stream(claim, frame, layout, max_megapixels)
    if claim.process == JPEG_LS:
        try:
            decoded = bytes(jpeg_ls.decode_pixel_data(frame)[0])
        except CODEC_ERRORS as error:
            raise _damaged("JPEG-LS") from error
        return _from_codec(np.frombuffer(decoded, f"<u{1 if claim.precision <= 8 else 2}"), claim, layout)
    if claim.precision == 8 and claim.process not in LOSSLESS:
        return Stored(decode_jpeg(frame, at_least)[0], 8, layout.signed)
    check_jpeg_scans(frame, claim)
    if b"\xff\xd9" not in frame[-64:]:
        raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the JPEG ends before its picture does; copy the file again")
    try:
        # Not jpeg_decode, which on an error of libjpeg's falls back on a decoder that a damaged stream crashes.
        from imagecodecs import jpeg8_decode
    except ImportError as error:
        kind = "lossless" if claim.process in LOSSLESS else f"{claim.precision}-bit"
        raise ReadError(
            Reason.UNSUPPORTED_ENCODING, f"{kind} JPEG needs an extra package: {install_extra('codecs')}"
        ) from error
    try:
        decoded_array = jpeg8_decode(frame)
    except CODEC_ERRORS as error:
        raise _damaged("JPEG") from error
    return _from_codec(decoded_array, claim, layout)


def _decode_jpeg2000(frame: bytes, layout: Layout, max_megapixels: float) -> Stored:
    claim = jpeg2000_claim(frame, max_megapixels)
    _check_stream(claim, frame, layout, max_megapixels)
    check_jpeg2000_complete(frame)
    try:
        decoded = decode_jpeg2000(frame)
    except CODEC_ERRORS as error:
        raise _damaged("JPEG 2000") from error
    return _from_codec(decoded, claim, layout)


def _decode_rle(frame: bytes, layout: Layout) -> Stored:
    planes = decode_rle(frame, layout.allocated // 8, layout.rows * layout.columns)
    values: NDArray[np.unsignedinteger] = np.frombuffer(planes, np.uint8).reshape(-1, layout.rows, layout.columns)[0]
    if layout.allocated == 16:
        high, low = np.frombuffer(planes, np.uint8).reshape(2, layout.rows, layout.columns)
        values = np.asarray(high.astype(np.uint16) << 8 | low, np.uint16)
    return Stored(values, layout.stored, layout.signed)


def _from_codec(decoded: NDArray[np.integer], claim: Claim, layout: Layout) -> Stored:
    if decoded.dtype.itemsize > 2 or claim.precision > 16:
        raise ReadError(Reason.UNSUPPORTED_ENCODING, f"{claim.precision} bits a pixel; films have at most 16")
    if decoded.size != layout.rows * layout.columns:
        raise _damaged("compressed")
    values = decoded.reshape(layout.rows, layout.columns).view(f"u{decoded.dtype.itemsize}")
    # Only JPEG 2000 states a sign of its own; elsewhere the header's holds.
    signed = claim.signed if claim.process == 0 else layout.signed
    return Stored(values, claim.precision, signed)


def _damaged(kind: str) -> ReadError:
    return ReadError(Reason.DAMAGED, f"the {kind} pixels cannot be decoded; get the file again from its source")


def _refuse_encoding(opened: Opened) -> NoReturn:
    raise ReadError(Reason.UNSUPPORTED_ENCODING, f"pixels encoded as {opened.encoding}; export the film uncompressed")
