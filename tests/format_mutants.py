"""Damaged films by someone who knows the formats: every part well-formed, and together not what a reader expects.

Bytes changed at random seldom get past the first check. Here chunks, segments, boxes, markers and elements are taken
apart, changed, doubled, moved or made up, and put together again with lengths and checksums that fit, or just do not.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Callable
from functools import cache
from io import BytesIO
from random import Random
from typing import Any

import numpy as np
from films import dicom, picture, png_chunk, ramp, smooth_picture
from imagecodecs import htj2k_encode, jpeg2k_encode, jpeg_encode, jpegls_encode
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.encaps import get_frame
from pydicom.uid import AllTransferSyntaxes, RLELossless
from pydicom.valuerep import VR

from hilum.radiograph.dicom.header import LUT_DATA, LUT_DESCRIPTOR, PIXEL_DATA, WANTED

SIZES = (0, 1, 2, 7, 12, 16, 40, 60, 300, 8_000, 20_000, 65_535, 2**31 - 1, 2**32 - 1)
BYTES = (0, 1, 2, 3, 7, 8, 9, 12, 15, 16, 17, 31, 32, 64, 127, 128, 254, 255)
VRS = [*sorted(str(vr).encode() for vr in VR if len(str(vr)) == 2), b"XX", b"\0\0", b"ox"]
LONG_VRS = (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
MARKER = re.compile(rb"\xff[\xc0-\xcf\xd8-\xfe]")  # one that ends a scan, unlike those of a restart
PNG_KINDS = (
    *(b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"gAMA", b"cHRM", b"sRGB", b"iCCP", b"tEXt", b"zTXt", b"iTXt"),
    *(b"bKGD", b"pHYs", b"sBIT", b"hIST", b"tIME", b"eXIf", b"acTL", b"fcTL", b"fdAT", b"CgBI", b"teSt", b"\xff\0ab"),
)
Part = tuple[bytes, bytes]  # a chunk, segment or marker: its name and its body


def some_bytes(rng: Random, most: int = 40) -> bytes:
    length = rng.choice((0, 1, 2, 3, 4, 5, 8, 13, rng.randrange(most + 1)))
    return rng.choice((rng.randbytes(length), bytes(length), b"\xff" * length))


def some_number(rng: Random, size: int) -> bytes:
    number = rng.choice((*SIZES, rng.randrange(2**32))) & ((1 << 8 * size) - 1)
    return number.to_bytes(size, rng.choice(("big", "little")))


def struck(rng: Random, body: bytes) -> bytes:
    """The body with one field or byte changed, or cut, or longer."""
    at = rng.randrange(len(body) + 1)
    match rng.randrange(5):
        case 0:
            field = some_number(rng, rng.choice((1, 2, 4)))
        case 1:
            field = bytes([rng.choice(BYTES)])
        case 2:
            return body[:at]
        case 3:
            return body[:at] + some_bytes(rng) + body[at:]
        case _:
            field = rng.randbytes(1)
    return body[:at] + field + body[at + len(field) :]


def rearranged(rng: Random, parts: list[Part], made_up: Callable[[Random], Part]) -> list[Part]:
    """One to four accidents to the parts: doubled, lost, moved, changed or made up."""
    parts = list(parts)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(parts)) if parts else 0
        match rng.randrange(6):
            case 0 if parts:
                parts.insert(rng.randrange(len(parts) + 1), parts[at])
            case 1 if parts:
                del parts[at]
            case 2 if parts:
                parts.insert(rng.randrange(len(parts)), parts.pop(at))
            case 3 | 4 if parts:
                parts[at] = (parts[at][0], struck(rng, parts[at][1]))
            case _:
                parts.insert(rng.randint(0, len(parts)), made_up(rng))
    return parts


def exif(rng: Random) -> bytes:
    """A directory of EXIF entries that may point anywhere, itself included."""
    order = rng.choice("<>")
    entries = [
        struct.pack(
            order + "HHI",
            rng.choice((0x0112, 0x0112, 0x8769, 0x8825, 0xA005, 0x9286, rng.randrange(65536))),
            rng.choice((*range(14), 999)),
            rng.choice((0, 1, 1, 2, 1000, 2**31, 2**32 - 1)),
        )
        + struct.pack(order + "HH", rng.randrange(10), 0)
        for _ in range(rng.randrange(5))
    ]
    start = rng.choice((8, 8, 0, 4, rng.randrange(2**32)))
    count = rng.choice((len(entries), 65535))
    next_directory = struct.pack(order + "I", rng.choice((0, 8, rng.randrange(2**32))))
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, start)
    return head + struct.pack(order + "H", count) + b"".join(entries) + next_directory


# PNG: chunks


def png_header(rng: Random) -> bytes:
    size = (rng.choice(SIZES), rng.choice(SIZES)) if rng.random() < 0.5 else (60, 40)
    depth, color, interlace = rng.choice((1, 2, 4, 8, 16, 3)), rng.choice((0, 2, 3, 4, 6, 0, 1)), rng.choice((0, 1, 2))
    return struct.pack(">IIBBBBB", *size, depth, color, *rng.choice(((0, 0), (0, 0), (1, 0), (0, 1))), interlace)


def png_pixels(rng: Random) -> bytes:
    rows = bytes(rng.choice((0, 1, 2, 3, 4, 5)) for _ in range(3)) + rng.randbytes(rng.choice((10, 2440, 4840, 9640)))
    return zlib.compress(rng.choice((rows, bytes(1_000_000))), rng.choice((0, 1, 9)))


def png_part(rng: Random) -> Part:
    kind = rng.choice(PNG_KINDS)
    bodies: dict[bytes, Callable[[Random], bytes]] = {
        b"IHDR": png_header,
        b"IDAT": png_pixels,
        b"eXIf": exif,
        b"acTL": lambda rng: struct.pack(">II", rng.choice((0, 1, 1, 2, 2**32 - 1)), 0),
        b"fcTL": lambda rng: struct.pack(
            ">IIIIIHHBB", rng.choice((0, 1, 2)), *(rng.choice(SIZES) for _ in range(4)), 1, rng.choice((0, 10)), 0, 1
        ),
        b"fdAT": lambda rng: struct.pack(">I", rng.choice((0, 1, 2))) + png_pixels(rng),
        b"zTXt": lambda rng: b"Raw profile type exif\0\0" + zlib.compress(b"\nexif\n 8\n" + exif(rng).hex().encode()),
        b"iTXt": lambda rng: b"XML:com.adobe.xmp\0\0\0\0\0" + b'<x tiff:Orientation="%d"/>' % rng.randrange(12),
        b"iCCP": lambda rng: b"icc\0\0" + zlib.compress(bytes(rng.choice((10, 3_000_000)))),
    }
    return kind, bodies[kind](rng) if kind in bodies and rng.random() < 0.7 else some_bytes(rng, 800)


def split_png(data: bytes) -> list[Part]:
    parts: list[Part] = []
    position = 8
    while position < len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        parts.append((kind, data[position + 8 : position + 8 + length]))
        position += 12 + length
    return parts


@cache
def pngs() -> list[bytes]:
    grey = Image.fromarray(smooth_picture())
    modes = [picture(grey.convert(mode), "PNG") for mode in ("L", "RGB", "RGBA", "P", "1", "LA")]
    animated = picture(grey, "PNG", save_all=True, append_images=[grey.rotate(180)])
    return [*modes, picture(Image.fromarray(ramp(40, 60)), "PNG"), animated]


def png(rng: Random) -> bytes:
    header, *others = split_png(rng.choice(pngs()))
    # without its header first a PNG is refused at once, so that seldom happens
    parts = [header, *rearranged(rng, others, png_part)] if rng.random() < 0.8 else rearranged(rng, [header], png_part)
    chunks = [png_chunk(kind, body) for kind, body in parts]
    if chunks and rng.random() < 0.15:  # a length or a checksum that does not fit
        at = rng.randrange(len(chunks))
        chunks[at] = rng.choice((some_number(rng, 4) + chunks[at][4:], chunks[at][:-4] + rng.randbytes(4)))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


# JPEG and JPEG-LS: segments, of which the start of a scan carries its pixels along


def split_jpeg(data: bytes) -> list[Part]:
    parts: list[Part] = []
    position = 2
    while position + 4 <= len(data) and data[position + 1] != 0xD9:
        end = position + 2 + int.from_bytes(data[position + 2 : position + 4], "big")
        body = data[position + 4 : end]
        if data[position + 1] == 0xDA:
            next_part = end
            while next_part < len(data) - 1 and not (
                data[next_part] == 0xFF
                and data[next_part + 1] not in (0, *range(0xD0, 0xD8))
                and data[next_part + 1] > 127
            ):
                next_part += 1
            parts.append((b"\xda", body + b"<pixels>" + data[end:next_part]))
            end = next_part
        else:
            parts.append((data[position + 1 : position + 2], body))
        position = end
    return parts


def jpeg_part(rng: Random) -> Part:
    marker = bytes([rng.choice((*range(0xC0, 0xD0), 0xDB, 0xDC, 0xDD, 0xE0, 0xE1, 0xE1, 0xEE, 0xF7, 0xF8, 0xFE, 0x01))])
    if 0xC0 <= marker[0] < 0xD0 or marker == b"\xf7":
        components = rng.choice((0, 1, 1, 3, 4, 255))
        sampling = bytes(rng.choice((0x11, 0x22, 0x44, 0, 0xFF)) for _ in range(components))
        size = (rng.choice(SIZES) % 65536, rng.choice(SIZES) % 65536)
        frame = struct.pack(">BHHB", rng.choice((8, 8, 12, 16, 1, 0)), *size, components)
        return marker, frame + b"".join(bytes([number, one, 0]) for number, one in enumerate(sampling))
    if marker == b"\xe1":
        return marker, b"Exif\0\0" + exif(rng)
    if marker == b"\xee":
        return marker, b"Adobe\0\x64\0\0\0\0" + bytes([rng.choice((0, 1, 2, 255))])
    if marker == b"\xf8":
        return marker, b"\1" + struct.pack(">5H", *(rng.choice(SIZES) % 65536 for _ in range(5)))
    return marker, some_bytes(rng, 200)


def jpeg_stream(rng: Random, parts: list[Part]) -> bytes:
    stream = b"\xff\xd8"
    for marker, body in rearranged(rng, parts, jpeg_part):
        body, _, pixels = body.partition(b"<pixels>")
        length = len(body) + 2 if rng.random() < 0.97 else int.from_bytes(some_number(rng, 2), "big")
        stream += b"\xff" + marker + struct.pack(">H", length % 65536) + body + pixels
    return stream + rng.choice((b"\xff\xd9", b"\xff\xd9", b"\xff\xd9", b"", b"\xff\xd9" + some_bytes(rng)))


@cache
def jpegs() -> list[bytes]:
    grey = Image.fromarray(smooth_picture())
    baseline = [picture(grey.convert(mode), "JPEG", restart_marker_rows=1) for mode in ("L", "RGB", "CMYK")]
    return [*baseline, picture(grey.convert("RGB"), "JPEG", progressive=True), picture(grey, "JPEG", exif=Image.Exif())]


def jpeg(rng: Random) -> bytes:
    return jpeg_stream(rng, split_jpeg(rng.choice(jpegs())))


# DICOM: elements in explicit VR little endian


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    length = len(value) if length is None else length
    size = struct.pack("<2xI", length % 2**32) if vr in LONG_VRS else struct.pack("<H", length % 65536)
    return struct.pack("<HH", tag >> 16, tag & 0xFFFF) + vr + size + value


def split_dicom(data: bytes) -> list[tuple[int, bytes, bytes]]:
    """Tag, VR and value of each element of a film without a preamble and a file meta group."""
    elements: list[tuple[int, bytes, bytes]] = []
    position = 0
    while position < len(data):
        group, number, vr = struct.unpack_from("<HH2s", data, position)
        long = vr in LONG_VRS
        length = int.from_bytes(data[position + (8 if long else 6) : position + (12 if long else 8)], "little")
        start = position + (12 if long else 8)
        elements.append((group << 16 | number, vr, data[start : start + length]))
        position = start + length
    return elements


def nested(rng: Random) -> bytes:
    """Sequences in sequences, to some depth, of stated or of open length."""
    value = element(LUT_DESCRIPTOR, b"US", struct.pack("<HHH", 256, 0, rng.choice((8, 16, 0))))
    value += element(LUT_DATA, b"OW", bytes(rng.choice((512, 256, 3))))
    value += element(0x00080100, b"SH", b"399348003 ")
    for _ in range(rng.choice((0, 0, 0, 1, 5, 3000 if rng.random() < 0.02 else 2))):
        item = b"\xfe\xff\x00\xe0"
        open_ended = rng.random() < 0.5
        item += b"\xff\xff\xff\xff" + value + b"\xfe\xff\x0d\xe0" + bytes(4) if open_ended else b""
        item = item or b"\xfe\xff\x00\xe0" + struct.pack("<I", len(value)) + value
        value = element(rng.choice((0x00283000, 0x00283010, 0x00540220)), b"SQ", item)
    open_ended = rng.random() < 0.5
    length = b"\xff\xff\xff\xff" if open_ended else struct.pack("<I", len(value))
    return b"\xfe\xff\x00\xe0" + length + value + (b"\xfe\xff\x0d\xe0" + bytes(4) if open_ended else b"")


def dicom_value(rng: Random) -> bytes:
    texts = (
        b"1e400",
        b"nan",
        b"-1",
        b"0",
        b"1\\2",
        b"\\" * 50,
        b"ISO_IR 100",
        b"ISO 2022 IR 87",
        b"MONOCHROME1",
        b"RGB",
    )
    match rng.randrange(4):
        case 0:
            return rng.choice(texts)
        case 1:
            return struct.pack("<H", rng.choice((0, 1, 3, 8, 12, 15, 16, 17, 255, 65535)))
        case 2:
            return nested(rng)
        case _:
            return some_bytes(rng)


def dicom_body(rng: Random, data: bytes) -> bytes:
    """The elements of a film after one to four accidents, in their order or, now and then, out of it."""
    elements = split_dicom(data)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(elements))
        tag, vr, value = elements[at]
        match rng.randrange(6):
            case 0:
                elements[at] = (tag, rng.choice(VRS), value)
            case 1 if tag != PIXEL_DATA:
                elements[at] = (tag, vr, dicom_value(rng))
            case 2 if len(elements) > 1:
                del elements[at]
            case 3:
                elements.append((rng.choice((*WANTED, 0x00080005, 0x00280106)), rng.choice(VRS), dicom_value(rng)))
            case 4:
                elements[at] = (tag, rng.choice(VRS), struck(rng, value))
            case _:
                elements.append((rng.choice(WANTED), rng.choice((b"SQ", b"SQ", b"US", b"DS", b"UN")), dicom_value(rng)))
    if rng.random() < 0.9:
        elements.sort(key=lambda one: one[0])
    lie = rng.randrange(len(elements)) if rng.random() < 0.15 else -1
    return b"".join(
        element(tag, vr, value, rng.choice((len(value) + 1, 2**32 - 1, 65535, 0)) if number == lie else None)
        for number, (tag, vr, value) in enumerate(elements)
    )


def with_meta(rng: Random, transfer_syntax: str, body: bytes) -> bytes:
    """The body behind a preamble and a file meta group, which may state another encoding."""
    if rng.random() < 0.1:
        transfer_syntax = str(rng.choice(AllTransferSyntaxes))
    if transfer_syntax.endswith(".99"):
        deflate = zlib.compressobj(9, zlib.DEFLATED, -zlib.MAX_WBITS)
        body = deflate.compress(body) + deflate.flush()
    uid = transfer_syntax.encode()
    syntax = element(0x00020010, b"UI", uid + bytes(len(uid) % 2))
    if rng.random() < 0.05:
        syntax = struck(rng, syntax)
    return bytes(128) + b"DICM" + element(0x00020000, b"UL", struct.pack("<I", len(syntax))) + syntax + body


@cache
def dicoms() -> list[bytes]:
    window = {"WindowCenter": 2000, "WindowWidth": 4000, "PatientAge": "045Y", "RescaleSlope": 1, "RescaleIntercept": 0}
    return [
        dicom(transfer_syntax=None, PatientOrientation=["L", "F"], ViewPosition="PA", **window),  # type: ignore[arg-type]
        dicom(ramp().astype("int16"), transfer_syntax=None, PixelPaddingValue=0),
        dicom(np.zeros((12, 16, 3), np.uint8), transfer_syntax=None),
    ]


def dicom_file(rng: Random) -> bytes:
    body = dicom_body(rng, rng.choice(dicoms()))
    syntax = rng.choice(("1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.1.99"))
    return with_meta(rng, syntax, body) if rng.random() < 0.8 else body


def encapsulated(rng: Random, frame: bytes, syntax: str, levels: NDArray[Any]) -> bytes:
    """A film with this compressed frame, in one fragment or several, whose lengths nearly always fit."""
    cuts = sorted(rng.randrange(len(frame) + 1) for _ in range(rng.choice((0, 0, 0, 1, 2))))
    pieces = [frame[start:end] for start, end in zip([0, *cuts], [*cuts, len(frame)], strict=True)]
    items = b"\xfe\xff\x00\xe0" + bytes(4)
    for piece in pieces:
        piece += bytes(len(piece) % 2)
        length = len(piece) if rng.random() < 0.97 else int.from_bytes(some_number(rng, 4), "big")
        items += b"\xfe\xff\x00\xe0" + struct.pack("<I", length) + piece
    photometric = rng.choice(("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT"))
    color: dict[str, Any] = {"PhotometricInterpretation": photometric}
    bare = dicom(levels, transfer_syntax=None, without=("PixelData",), **(color if levels.ndim == 3 else {}))
    body = dicom_body(rng, bare) if rng.random() < 0.3 else bare
    start = struct.pack("<HH", PIXEL_DATA >> 16, PIXEL_DATA & 0xFFFF) + b"OB\0\0\xff\xff\xff\xff"
    end = rng.choice((b"\xfe\xff\xdd\xe0" + bytes(4), b""))
    return with_meta(rng, syntax, body + start + items + end)


# Frames inside DICOM


GREY, SMALL = ramp(), ramp(highest=255).astype(np.uint8)
COLOR = np.stack([SMALL, SMALL[::-1], SMALL[:, ::-1]], axis=2)
Frame = tuple[bytes, str, NDArray[Any]]  # compressed, its transfer syntax, and what it holds


@cache
def jpeg2000s() -> list[Frame]:
    return [
        (bytes(jpeg2k_encode(GREY, codecformat="j2k", reversible=True)), "1.2.840.10008.1.2.4.90", GREY),
        (bytes(jpeg2k_encode(GREY, codecformat="jp2", level=40)), "1.2.840.10008.1.2.4.91", GREY),
        (bytes(htj2k_encode(GREY)), "1.2.840.10008.1.2.4.201", GREY),
        (bytes(jpeg2k_encode(COLOR, codecformat="j2k", reversible=True)), "1.2.840.10008.1.2.4.90", COLOR),
    ]


def jpeg2000_box(rng: Random, kind: bytes, body: bytes) -> bytes:
    match rng.randrange(12):
        case 0:
            return struct.pack(">I4sQ", 1, kind, len(body) + 16) + body
        case 1:
            return struct.pack(">I4s", 0, kind) + body
        case 2:
            return some_number(rng, 4) + kind + body
    return struct.pack(">I4s", len(body) + 8, kind) + body


def jpeg2000_part(rng: Random) -> Part:
    marker = bytes(
        [rng.choice((0x51, 0x52, 0x53, 0x5C, 0x5D, 0x5E, 0x5F, 0x50, 0x55, 0x57, 0x58, 0x60, 0x61, 0x63, 0x64))]
    )
    if marker == b"\x51":
        numbers = [rng.choice((*SIZES, 12, 16, 12, 16)) for _ in range(8)]
        components = rng.choice((0, 1, 1, 3, 16384))
        return marker, struct.pack(">H8IH", 0, *numbers, components) + bytes(
            rng.choice(BYTES) for _ in range(3 * min(components, 4))
        )
    return marker, some_bytes(rng, 60)


def jpeg2000_frame(rng: Random) -> Frame:
    """A codestream: markers of the main header changed, the tiles behind them now and then."""
    frame, syntax, levels = rng.choice(jpeg2000s())
    start = frame.index(b"\xff\x4f\xff\x51")
    position, parts = start + 2, []
    while frame[position : position + 2] != b"\xff\x90":
        length = int.from_bytes(frame[position + 2 : position + 4], "big")
        parts.append((frame[position + 1 : position + 2], frame[position + 4 : position + 2 + length]))
        position += 2 + length
    tiles = frame[position:]
    if rng.random() < 0.4:
        tiles = struck(rng, tiles[: rng.randrange(len(tiles)) + 1]) + tiles[rng.randrange(len(tiles)) :]
    if rng.random() < 0.8:
        parts = rearranged(rng, parts, jpeg2000_part)
    header = b"".join(b"\xff" + marker + struct.pack(">H", len(body) % 65534 + 2) + body for marker, body in parts)
    stream = b"\xff\x4f" + header + tiles
    if rng.random() < 0.3:  # in the boxes of a file, as some writers do
        kinds = (
            b"ftyp",
            b"jp2h",
            b"ihdr",
            b"colr",
            b"pclr",
            b"cmap",
            b"cdef",
            b"bpcc",
            b"res ",
            b"uuid",
            b"xml ",
            b"jp2c",
        )
        boxes = [jpeg2000_box(rng, rng.choice(kinds), some_bytes(rng)) for _ in range(rng.randrange(4))]
        stream = b"\0\0\0\x0cjP  \r\n\x87\n" + b"".join(boxes) + jpeg2000_box(rng, b"jp2c", stream)
    return stream, syntax, levels


def jpeg2000(rng: Random) -> bytes:
    return encapsulated(rng, *jpeg2000_frame(rng))


@cache
def jpeg_frames() -> list[Frame]:
    return [
        (picture(Image.fromarray(SMALL), "JPEG"), "1.2.840.10008.1.2.4.50", SMALL),
        (picture(Image.fromarray(COLOR), "JPEG"), "1.2.840.10008.1.2.4.50", COLOR),
        (bytes(jpeg_encode(GREY, level=100, bitspersample=12)), "1.2.840.10008.1.2.4.51", GREY),
        (bytes(jpeg_encode(GREY, level=100, bitspersample=12, lossless=True)), "1.2.840.10008.1.2.4.70", GREY),
        (bytes(jpeg_encode(COLOR, level=100, lossless=True)), "1.2.840.10008.1.2.4.70", COLOR),
        (bytes(jpegls_encode(GREY)), "1.2.840.10008.1.2.4.80", GREY),
        (bytes(jpegls_encode(COLOR)), "1.2.840.10008.1.2.4.80", COLOR),
    ]


def jpeg_in_dicom(rng: Random) -> bytes:
    frame, syntax, levels = rng.choice(jpeg_frames())
    return encapsulated(rng, jpeg_stream(rng, split_jpeg(frame)), syntax, levels)


@cache
def rle_frames() -> list[Frame]:
    frames: list[Frame] = []
    for levels in (GREY, SMALL, COLOR):
        film = dcmread(BytesIO(dicom(levels)))
        film.compress(RLELossless, generate_instance_uid=False)
        frames.append((get_frame(film.PixelData, 0, number_of_frames=1), RLELossless, levels))
    return frames


def rle(rng: Random) -> bytes:
    """Run-length data whose header counts and points wrongly, or whose runs end early or never."""
    frame, syntax, levels = rng.choice(rle_frames())
    numbers, segments = list(struct.unpack_from("<16I", frame)), frame[64:]
    for _ in range(rng.choice((0, 0, 1, 2))):
        numbers[rng.choice((0, 0, 1, 2, 3, 15))] = rng.choice((0, 1, 2, 3, 15, 16, 63, 64, 65, 100, 2**31, 2**32 - 1))
    for _ in range(rng.randint(0, 3)):
        segments = struck(rng, segments)
    frame = struct.pack("<16I", *numbers) + segments * rng.choice((1, 1, 1, 50))
    return encapsulated(rng, frame[: rng.choice((len(frame), len(frame), len(frame), 63, 64))], syntax, levels)


MUTANTS: dict[str, Callable[[Random], bytes]] = {
    "png": png,
    "jpeg": jpeg,
    "dicom": dicom_file,
    "jpeg 2000": jpeg2000,
    "jpeg in dicom": jpeg_in_dicom,
    "rle": rle,
}


def mutant(kind: str, seed: int, number: int) -> bytes:
    """The same bytes for the same three, today and tomorrow."""
    return MUTANTS[kind](Random(f"{kind} {seed} {number}"))
