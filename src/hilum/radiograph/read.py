"""The one way in: whatever holds a film, told apart by its type and content, becomes a Radiograph or a ReadError."""

from __future__ import annotations

import os
import stat
import sys
from io import BufferedReader, BytesIO, FileIO, TextIOBase
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from hilum.radiograph.arrays import read_array
from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.radiograph import Radiograph

if TYPE_CHECKING:
    from PIL.Image import Image
    from pydicom.dataset import Dataset

Format = Literal["jpeg", "png", "dicom"]
FilmSource: TypeAlias = "str | os.PathLike[str] | bytes | BinaryIO | NDArray[Any] | Image | Dataset"
Kind = Literal["path", "bytes", "file", "array", "image", "dataset"]
PIECE = 1 << 24
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
    source: FilmSource, *, at_least: int | None = None, max_megapixels: float = 64, bits: int | None = None
) -> Radiograph:
    """Read a chest film from a path, bytes, an open binary file, a NumPy array, a PIL image or a pydicom Dataset.

    Paths, bytes and files hold JPEG, PNG or DICOM. Arrays are taken as displayed, bright = dense: unsigned integers
    over their type's whole range, or over `bits` bits, floats from 0 to 1.

    `at_least` allows a smaller picture whose sides are all still at least this many pixels: much faster for JPEG,
    ignored where nothing is gained. Content that is no film, damaged or over `max_megapixels` raises ReadError (a
    ValueError); a path that cannot be opened raises OSError as usual, what cannot be a film by its type TypeError.

    >>> film = hilum.read("film.png")
    >>> film.format, film.bits, film.pixels.dtype
    ('png', 8, dtype('float32'))
    >>> float(film.pixels.min()), float(film.pixels.max())
    (0.0, 1.0)
    """
    kind = kind_of(source)
    if bits is not None and kind != "array":
        raise TypeError("bits says how many bits of an array's integers count; everything else says so itself")
    film: Any = source
    match kind:
        case "path":
            with open_film(film) as file:
                try:
                    return _read_file(file, at_least, max_megapixels)
                except ReadError as error:
                    error.source = os.fspath(film)
                    raise
        case "bytes":
            return _read_file(BytesIO(film), at_least, max_megapixels)
        case "file":
            return _read_file(_seekable(film), at_least, max_megapixels)
        case "array":
            return read_array(film, bits, max_megapixels)
        case "image":
            from hilum.radiograph.raster import read_image

            return read_image(film, max_megapixels)
        case "dataset":
            from hilum.radiograph.dicom.film import read_dicom_dataset

            return read_dicom_dataset(film, at_least, max_megapixels)
    raise TypeError(
        "a film is a path, bytes, an open binary file, a NumPy array, a PIL image or a pydicom Dataset, "
        f"not {type(source).__name__}"
    )


def kind_of(source: object) -> Kind | None:
    """What `read` takes this for; None where it is nothing that can hold a film."""
    if isinstance(source, (str, os.PathLike)):
        return "path"
    if isinstance(source, (bytes, bytearray, memoryview)):
        return "bytes"
    if isinstance(source, np.ndarray):
        return "array"
    if _is_instance(source, "PIL.Image", "Image"):
        return "image"
    if _is_instance(source, "pydicom.dataset", "Dataset"):
        return "dataset"
    return "file" if hasattr(source, "read") and not isinstance(source, TextIOBase) else None


def open_film(path: str | os.PathLike[str]) -> FileIO:
    """A regular file open for reading; a pipe or a device, which might never end, raises ReadError.

    What the path leads to is looked at once it is open, so that nothing can be put in its place in between; and it is
    opened without waiting, since a pipe that nobody writes to would hold us for ever.
    """
    file = FileIO(os.fspath(path), opener=_open_without_waiting)  # no buffer: most films are read in one go
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ReadError(Reason.NOT_AN_IMAGE, "a pipe or a device; save the film as a file and give that", str(path))
    return file


def content_of(file: BinaryIO) -> bytes:
    """All that can be read from a file, in as many pieces as it comes; no more than shows that it is too large."""
    pieces: list[bytes] = []
    size = 0
    while size <= MAX_FILE_BYTES and (piece := file.read(PIECE)):  # a read reserves the memory that it asks for
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def recognize(head: bytes) -> Format | None:
    """The format that a file's first 132 bytes or more show; None for anything hilum does not read."""
    if head.startswith(b"\xff\xd8\xff"):
        return "jpeg"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "png"
    if head[128:132] == b"DICM" or _starts_with_dicom_element(head):
        return "dicom"
    return None


def _is_instance(source: object, module: str, name: str) -> bool:
    """Whether it is of a class whose module, slow to import, is loaded if there is such an object at all."""
    return isinstance(source, getattr(sys.modules.get(module), name, ()))


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _seekable(file: BinaryIO) -> BinaryIO:
    """The file itself, or what can be read from it: a response of a server gives its bytes once, and in pieces."""
    return file if file.seekable() else BytesIO(content_of(file))


def _read_file(file: BinaryIO, at_least: int | None, max_megapixels: float) -> Radiograph:
    start = file.tell()
    size = file.seek(0, os.SEEK_END) - start
    file.seek(start)
    if size == 0:
        raise ReadError(Reason.EMPTY, "the file is empty; copy it again from its source")
    if size > MAX_FILE_BYTES:
        raise ReadError(Reason.TOO_LARGE, f"a file of {size / 1e6:,.0f} MB; the limit is {MAX_FILE_BYTES >> 20} MB")
    head = file.read(132)
    file.seek(start)
    # Pillow and pydicom take their time to be imported: only who needs one pays for it.
    match recognize(head):
        case "jpeg":
            from hilum.radiograph.raster import read_jpeg

            return read_jpeg(file.read(), at_least, max_megapixels)
        case "png":
            from hilum.radiograph.raster import read_png

            return read_png(file.read(), max_megapixels)
        case "dicom":
            from hilum.radiograph.dicom.film import read_dicom

            if not isinstance(file, FileIO):
                return read_dicom(file, at_least, max_megapixels)
            buffered = BufferedReader(file)  # a header is read in many small pieces
            try:
                return read_dicom(buffered, at_least, max_megapixels)
            finally:
                buffered.detach()  # so that a file which the caller opened stays open
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
