"""The few header elements that decide how a DICOM film is decoded and shown.

The file meta group is read here by hand, because pydicom inflates a deflated file without any bound as soon as it sees
it. The rest is walked by pydicom; values are taken from their raw bytes, so that a malformed or private value is
`None` and not an exception. Of the patient only the age is looked at.
"""

from __future__ import annotations

import math
import struct
import zlib
from dataclasses import dataclass
from io import BytesIO
from typing import BinaryIO, cast

from pydicom.config import IGNORE
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.errors import BytesLengthException
from pydicom.filereader import read_dataset
from pydicom.sequence import Sequence
from pydicom.tag import BaseTag
from pydicom.uid import UID

from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.quiet import quiet

IMPLICIT_LITTLE = "1.2.840.10008.1.2"
EXPLICIT_LITTLE = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
EXPLICIT_BIG = "1.2.840.10008.1.2.2"
RLE = "1.2.840.10008.1.2.5"

SOP_CLASS, AGE = 0x00080016, 0x00101010
# By these, films are chosen and told apart where they arrive; no answer hangs on them.
SOP_INSTANCE, STUDY, SERIES, MODALITY, BODY_PART = 0x00080018, 0x0020000D, 0x0020000E, 0x00080060, 0x00180015
MANUFACTURER, INTENT, DEVICE_SERIAL = 0x00080070, 0x00080068, 0x00181000
VIEW_POSITION, VIEW_CODE, CODE_VALUE = 0x00185101, 0x00540220, 0x00080100
LATERALITY, IMAGE_LATERALITY, PATIENT_ORIENTATION = 0x00200060, 0x00200062, 0x00200020
SAMPLES, PHOTOMETRIC, PLANAR, FRAMES = 0x00280002, 0x00280004, 0x00280006, 0x00280008
ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION = (0x00280000 + n for n in (16, 17, 256, 257, 258, 259))
PADDING, BURNED_IN = 0x00280120, 0x00280301
SPACING, IMAGER_SPACING = 0x00280030, 0x00181164
CENTER, WIDTH, FUNCTION, INTERCEPT, SLOPE = 0x00281050, 0x00281051, 0x00281056, 0x00281052, 0x00281053
MODALITY_LUT, VOI_LUT, LUT_DESCRIPTOR, LUT_DATA = 0x00283000, 0x00283010, 0x00283002, 0x00283006
PIXEL_DATA = 0x7FE00010
FLOAT_PIXELS = (0x7FE00008, 0x7FE00009)
WANTED = [
    *(SOP_CLASS, AGE, VIEW_POSITION, VIEW_CODE, LATERALITY, IMAGE_LATERALITY, PATIENT_ORIENTATION),
    *(SAMPLES, PHOTOMETRIC, PLANAR, FRAMES, ROWS, COLUMNS, ALLOCATED, STORED, HIGH_BIT, REPRESENTATION),
    *(PADDING, BURNED_IN, SPACING, IMAGER_SPACING, CENTER, WIDTH, FUNCTION, INTERCEPT, SLOPE),
    *(MODALITY_LUT, VOI_LUT),
    *(SOP_INSTANCE, STUDY, SERIES, MODALITY, BODY_PART, MANUFACTURER, INTENT, DEVICE_SERIAL),
]
WANTED_OF_ITEMS = [CODE_VALUE, LUT_DESCRIPTOR, LUT_DATA]
# What a header may cost: the largest have some thousand elements, and no text or number looked at is long.
MAX_HEADER_READS, MAX_META_ELEMENTS, MAX_VALUE_BYTES = 100_000, 1000, 1024
# What pydicom raises when a header is not what it claims to be.
HEADER_ERRORS = (
    *(AttributeError, EOFError, LookupError, NotImplementedError, OSError, OverflowError),
    *(RecursionError, TypeError, ValueError, struct.error, BytesLengthException),
)


@dataclass(frozen=True, slots=True)
class Header:
    """Raw elements of a data set or of one item of a sequence in it."""

    elements: Dataset
    little_endian: bool = True

    def has(self, tag: int) -> bool:
        """Whether the element is there at all, with a value or without."""
        return tag in self.elements

    def raw(self, tag: int) -> bytes | None:
        """The bytes of the element as they stand in the file; None where there are none."""
        element = self.elements.get_item(BaseTag(tag), keep_deferred=True)
        value = element.value if element is not None else None
        return value if isinstance(value, bytes) and value else None

    def vr(self, tag: int) -> str | None:
        """The type that the file gives the element; None in an encoding that leaves types out."""
        element = self.elements.get_item(BaseTag(tag), keep_deferred=True)
        return element.VR if isinstance(element, RawDataElement) else None

    def words(self, tag: int, signed: bool = False) -> list[int]:
        """16-bit numbers; their VR says whether they are signed, where it is stated."""
        raw = (self.raw(tag) or b"")[:MAX_VALUE_BYTES]
        signed = {"SS": True, "US": False}.get(self.vr(tag) or "", signed)
        code = ("<" if self.little_endian else ">") + str(len(raw) // 2) + ("h" if signed else "H")
        return list(struct.unpack_from(code, raw))

    def word(self, tag: int, signed: bool = False) -> int | None:
        """The first 16-bit number, which is mostly the only one."""
        return next(iter(self.words(tag, signed)), None)

    def texts(self, tag: int) -> list[str]:
        """The parts of a text. What is looked at is ASCII by the standard, so no character set is decoded."""
        raw = (self.raw(tag) or b"")[:MAX_VALUE_BYTES]
        return [part.strip(" \0") for part in raw.decode("ascii", "replace").split("\\")]

    def text(self, tag: int) -> str:
        """The first part of a text; empty where there is none."""
        return self.texts(tag)[0]

    def decimals(self, tag: int) -> list[float]:
        """Decimal strings; one that cannot be parsed is NaN."""
        return [_decimal(part) for part in self.texts(tag)] if self.raw(tag) else []

    def first_item(self, tag: int) -> Header | None:
        """The first item of a sequence; None where there is none or it cannot be parsed.

        A sequence of stated length is still raw, and its other items stay so: pydicom would make a data set of each,
        however many there are.
        """
        element = self.elements.get_item(BaseTag(tag), keep_deferred=True)
        if isinstance(element, DataElement):
            items = element.value  # of open length, which pydicom has had to walk through to find its end
            return Header(items[0], self.little_endian) if isinstance(items, Sequence) and items else None
        # a damaged header may call the element a text or a number
        if element is None or element.VR not in (None, "SQ", "UN") or not isinstance(element.value, bytes):
            return None
        start = struct.Struct("<HHI" if self.little_endian else ">HHI")
        if len(element.value) < start.size:
            return None
        group, number, length = start.unpack_from(element.value)
        if (group, number) != (0xFFFE, 0xE000):
            return None
        content = BytesIO(element.value[start.size :][: None if length == 0xFFFFFFFF else length])
        try:
            return Header(
                read_elements(content, element.is_implicit_VR, self.little_endian, item=True), self.little_endian
            )
        except ReadError:
            return None

    @property
    def kind(self) -> str:
        """What the object is, in DICOM's words."""
        name = _uid_name(self.text(SOP_CLASS))
        return name or "unknown kind of object"


@dataclass(frozen=True, slots=True)
class Opened:
    """A DICOM file positioned at its pixel element, if it has one."""

    header: Header
    transfer_syntax: str | None
    file: BinaryIO

    @property
    def encoding(self) -> str:
        """The transfer syntax in DICOM's words; one that DICOM does not know is not repeated."""
        if self.transfer_syntax is None:
            return "unstated transfer syntax"
        return _uid_name(self.transfer_syntax) or "unknown transfer syntax"


def open_dicom(file: BinaryIO, max_inflated: int) -> Opened:
    """Read everything before the pixels. `max_inflated` bounds what a deflated file may grow to."""
    transfer_syntax = _read_transfer_syntax(file)
    if transfer_syntax == DEFLATED:
        file = _inflate(file, max_inflated)
    implicit, little = _element_encoding(transfer_syntax, file)
    return Opened(Header(read_elements(file, implicit, little), little), transfer_syntax, file)


def read_elements(file: BinaryIO, implicit: bool, little: bool, *, item: bool = False) -> Dataset:
    """The elements that are looked at, of a file up to its pixels or of an item of a sequence, by a bounded walk."""
    counted = _Counted(file)
    wanted = WANTED_OF_ITEMS if item else WANTED
    try:
        with quiet():
            return read_dataset(
                cast(BinaryIO, counted),  # pydicom reads, seeks and tells
                implicit,
                little,
                stop_when=None if item else _at_pixels,
                specific_tags=list(wanted),
                at_top_level=not item,
            )
    except HEADER_ERRORS as error:
        if counted.left < 0:
            raise ReadError(Reason.TOO_LARGE, "the header has more elements than any film's") from error
        raise ReadError(
            Reason.INCONSISTENT_HEADER, "the DICOM header cannot be followed; get the file again from its source"
        ) from error


class _Counted:
    """A file that is read from so many times and no more: pydicom takes two reads for an element, however nested."""

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.left = MAX_HEADER_READS
        self.seek, self.tell = file.seek, file.tell

    def read(self, size: int) -> bytes:
        self.left -= 1
        if self.left < 0:
            raise OSError("too many reads")
        return self.file.read(min(size, MAX_FILE_BYTES))  # a file reserves the memory first, up to 4 GB


def _read_transfer_syntax(file: BinaryIO) -> str | None:
    """The transfer syntax the file meta group states; leaves the file at the first element after the group."""
    start = file.tell()
    head = file.read(132)
    position = start + (132 if head[128:] == b"DICM" else 0)
    transfer_syntax = None
    for _ in range(MAX_META_ELEMENTS):
        file.seek(position)
        element = file.read(12)
        if len(element) < 8 or element[:2] != b"\2\0":
            break
        if element[4:6] in (b"OB", b"OW", b"UN", b"UT", b"SQ"):
            header_length, length = 12, int.from_bytes(element[8:12], "little")
        elif element[4:6].isalpha():
            header_length, length = 8, int.from_bytes(element[6:8], "little")
        else:  # against the standard, some writers encode the group as implicit VR
            header_length, length = 8, int.from_bytes(element[4:8], "little")
        if element[2:4] == b"\x10\0" and length <= 64:
            file.seek(position + header_length)
            transfer_syntax = file.read(length).decode("ascii", "replace").strip(" \0") or None
        position += header_length + length
    file.seek(position)
    return transfer_syntax


def _inflate(file: BinaryIO, max_inflated: int) -> BytesIO:
    """Inflate what follows, twice: first only counting, so that a bomb costs no memory."""
    compressed = file.read()
    for keep in (False, True):
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        inflated, size, pending = BytesIO(), 0, compressed
        try:
            while pending and not inflater.eof:
                block = inflater.decompress(pending, 1 << 20)
                pending = inflater.unconsumed_tail
                size += len(block)
                if size > max_inflated:
                    raise ReadError(
                        Reason.TOO_LARGE,
                        f"the deflated file inflates to over {max_inflated / 1e6:,.0f} MB",
                    )
                if keep:
                    inflated.write(block)
        except zlib.error as error:
            raise ReadError(Reason.DAMAGED, "the deflated file cannot be inflated; copy the file again") from error
        if not inflater.eof:
            raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the deflated file ends early; copy the file again")
    inflated.seek(0)
    return inflated


def _element_encoding(transfer_syntax: str | None, file: BinaryIO) -> tuple[bool, bool]:
    """Whether elements lack a VR, and whether bytes run little end first. Guessed where it is not stated."""
    if transfer_syntax == EXPLICIT_BIG:
        return False, False
    if transfer_syntax is not None:
        return transfer_syntax == IMPLICIT_LITTLE, True
    position = file.tell()
    first = file.read(8)
    file.seek(position)
    explicit = first[4:6].isalpha() and first[4:6].isupper()
    little = not (first[:1] == b"\0" and first[1:2] != b"\0")
    return not explicit, little


def _at_pixels(tag: BaseTag, vr: str | None, length: int) -> bool:
    return bool(tag >= FLOAT_PIXELS[0])


def _uid_name(uid: str) -> str | None:
    """The standard's name for a UID; None for a private or malformed one, which is not to be repeated."""
    known = UID(uid, validation_mode=IGNORE)
    return known.name if known.is_valid and known.name != known else None


def _decimal(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan
