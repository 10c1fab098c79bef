"""Films made in the test: DICOM, PNG and JPEG as bytes, with any header wanted."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from hilum.radiograph import Radiograph

CR_STORAGE = "1.2.840.10008.5.1.4.1.1.1"


def ramp(rows: int = 12, columns: int = 16, highest: int = 4095) -> NDArray[np.uint16]:
    """Every pixel different, so that any turn, shift or scaling shows."""
    return np.linspace(0, highest, rows * columns).astype(np.uint16).reshape(rows, columns)


def dicom(
    pixels: NDArray[Any] | None = None,
    *,
    transfer_syntax: str | None = ExplicitVRLittleEndian,
    frame: bytes | None = None,
    without: tuple[str, ...] = (),
    **elements: Any,
) -> bytes:
    """A CR film. `frame` is compressed pixels to encapsulate; `elements` overrides header elements by keyword."""
    pixels = ramp() if pixels is None else pixels
    film: Any = Dataset()
    film.SOPClassUID = CR_STORAGE
    film.SOPInstanceUID = generate_uid(entropy_srcs=["film"])
    film.PatientName = "Doe^Jane"
    film.PatientID = "secret-7"
    film.Modality = "CR"
    film.Rows, film.Columns = pixels.shape[:2]
    film.SamplesPerPixel = 1 if pixels.ndim == 2 else 3
    film.PhotometricInterpretation = "MONOCHROME2" if pixels.ndim == 2 else "RGB"
    film.BitsAllocated = pixels.dtype.itemsize * 8
    film.BitsStored = film.BitsAllocated
    film.PixelRepresentation = int(pixels.dtype.kind == "i")
    if pixels.ndim == 3:
        film.PlanarConfiguration = 0
    for keyword, value in elements.items():
        setattr(film, keyword, value)
    if "HighBit" not in elements:
        film.HighBit = film.BitsStored - 1
    order: Literal["<", ">"] = ">" if transfer_syntax == ExplicitVRBigEndian else "<"
    native = pixels.astype(pixels.dtype.newbyteorder(order)).tobytes()
    film.PixelData = encapsulate([frame]) if frame else native + bytes(len(native) % 2)
    film["PixelData"].VR = "OB" if frame or pixels.dtype.itemsize == 1 else "OW"
    film["PixelData"].is_undefined_length = frame is not None
    for keyword in without:
        if keyword in film:
            delattr(film, keyword)
    stream = BytesIO()
    if transfer_syntax is not None:
        film.file_meta = FileMetaDataset()
        film.file_meta.TransferSyntaxUID = UID(transfer_syntax)
        film.file_meta.MediaStorageSOPClassUID = CR_STORAGE
        film.file_meta.MediaStorageSOPInstanceUID = film.SOPInstanceUID
        film.save_as(stream, enforce_file_format=True)
    else:
        film.save_as(stream, implicit_vr=False, little_endian=True)
    return stream.getvalue()


def implicit_dicom(pixels: NDArray[Any], **elements: Any) -> bytes:
    return dicom(pixels, transfer_syntax=ImplicitVRLittleEndian, **elements)


def picture(image: Image.Image, kind: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def png_chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def smooth_picture(height: int = 40, width: int = 60) -> NDArray[np.uint8]:
    """Smooth enough that JPEG barely changes it, and different in every corner."""
    y, x = np.mgrid[:height, :width]
    return np.asarray(20 + 150 * x / width + 70 * y / height, np.uint8)


def film(levels: NDArray[np.uint8]) -> Radiograph:
    """A film that was read already."""
    pixels = levels.astype(np.float32) / np.float32(255)
    height, width = levels.shape
    return Radiograph(pixels, "png", "PNG", "L", 8, height, width)


def shaded(height: int = 128, width: int = 128, brightest: int = 200) -> NDArray[np.uint8]:
    """Darker at the top left than at the bottom right."""
    y, x = np.mgrid[:height, :width]
    return np.asarray((y / height + x / width) / 2 * brightest, np.uint8)


def write_films(folder: Path, count: int) -> list[Path]:
    """Films of rising brightness."""
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number}.png" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(picture(Image.fromarray(shaded(brightest=60 + number * 160 // count)), "PNG"))
    return paths
