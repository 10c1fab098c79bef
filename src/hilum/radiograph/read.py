"""The one way in: any file, told apart by its content, becomes a Radiograph or a ReadError."""

from __future__ import annotations

import os
from io import BufferedReader, BytesIO, FileIO
from pathlib import Path
from typing import BinaryIO, Literal

from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.radiograph import Radiograph
from hilum.radiograph.raster import read_jpeg, read_png

Format = Literal["jpeg", "png", "dicom"]
MAX_FILE_BYTES = 512 * 1024 * 1024
# What people mistake for films, so that the error can name it.
FOREIGN = {
    b"GIF8": "a GIF picture; convert it to PNG",
    b"BM": "a BMP picture; convert it to PNG",
    b"II*\0": "a TIFF picture; convert it to PNG",
    b"MM\0*": "a TIFF picture; convert it to PNG",
    b"RIFF": "a WebP picture or other RIFF file; convert it to PNG",
    b"\0\0\0\x0cjP  ": "a bare JPEG 2000 file; convert it to PNG",
    b"\xff\x4f\xff\x51": "a bare JPEG 2000 file; convert it to PNG",
    b"%PDF": "a PDF document; export its pictures as PNG",
    b"PK\3\4": "a zip archive; unpack it first",
    b"\x1f\x8b": "a gzip archive; unpack it first",
    b"\x89HDF": "an HDF5 file",
    b"\\\x01\0\0": "a NIfTI volume; hilum reads single films",
}


def read(
    source: str | os.PathLike[str] | bytes | BinaryIO, *, at_least: int | None = None, max_megapixels: float = 64
) -> Radiograph:
    """Read a chest film (JPEG, PNG or DICOM) given as a path, its bytes or an open binary file.

    `at_least` allows a smaller picture whose sides are all still at least this many pixels: much faster for JPEG,
    ignored where nothing is gained. Content that is no film, damaged or over `max_megapixels` raises ReadError; a path
    that cannot be opened raises OSError as usual.
    """
    if isinstance(source, bytes):
        return _read(BytesIO(source), at_least, max_megapixels)
    if isinstance(source, (str, os.PathLike)):
        with Path(source).open("rb", buffering=0) as file:  # most films are read in one go; a buffer copies them
            try:
                return _read(file, at_least, max_megapixels)
            except ReadError as error:
                error.source = os.fspath(source)
                raise
    return _read(source if source.seekable() else BytesIO(source.read(MAX_FILE_BYTES + 1)), at_least, max_megapixels)


def recognize(head: bytes) -> Format | None:
    """The format that a file's first 132 bytes or more show; None for anything hilum does not read."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[128:132] == b"DICM" or _starts_with_dicom_element(head):
        return "dicom"
    return None


def _read(file: BinaryIO, at_least: int | None, max_megapixels: float) -> Radiograph:
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size == 0:
        raise ReadError(Reason.EMPTY, "the file is empty; copy it again from its source")
    if size > MAX_FILE_BYTES:
        raise ReadError(Reason.TOO_LARGE, f"a file of {size / 1e6:,.0f} MB; the limit is {MAX_FILE_BYTES >> 20} MB")
    head = file.read(132)
    file.seek(start)
    match recognize(head):
        case "jpeg":
            return read_jpeg(file.read(), at_least, max_megapixels)
        case "png":
            return read_png(file.read(), max_megapixels)
        case "dicom":
            from hilum.radiograph.dicom import read_dicom  # pydicom costs 0.2 s to import: only who needs it pays

            if isinstance(file, FileIO):  # a header is read in many small pieces
                with BufferedReader(file) as buffered:
                    return read_dicom(buffered, at_least, max_megapixels)
            return read_dicom(file, at_least, max_megapixels)
    raise _unrecognized(head)


def _starts_with_dicom_element(head: bytes) -> bool:
    """Old files lack DICOM's preamble and start with an element of group 0002 or 0008."""
    if len(head) < 8:
        return False
    group, element = head[:2], head[2:4]
    if group == b"\x00\x08" and element[0] == 0:  # big endian
        return head[4:6].isalpha() and head[4:6].isupper()
    if group not in (b"\x02\x00", b"\x08\x00") or element[1] != 0:
        return False
    explicit = head[4:6].isalpha() and head[4:6].isupper()
    return explicit or int.from_bytes(head[4:8], "little") <= 1024


def _unrecognized(head: bytes) -> ReadError:
    for magic, what in FOREIGN.items():
        if head.startswith(magic):
            return ReadError(Reason.NOT_AN_IMAGE if "PNG" not in what else Reason.UNSUPPORTED_ENCODING, what)
    if b"\0" not in head and (b"\n" in head or head.isascii()):
        return ReadError(Reason.NOT_AN_IMAGE, "a text file; give a JPEG, PNG or DICOM file")
    return ReadError(Reason.NOT_AN_IMAGE, "neither JPEG, PNG nor DICOM by its content; give one of these")
