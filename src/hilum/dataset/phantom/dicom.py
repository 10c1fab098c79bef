"""A phantom as a DICOM file, encoded in one of the two ways that real sets mix."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import UID, ComputedRadiographyImageStorage, ExplicitVRLittleEndian, JPEGBaseline8Bit, generate_uid

from hilum.dataset.phantom.film import Phantom
from hilum.system.files import write_whole

DETECTOR_MILLIMETERS = 350  # along the shorter side of a film
STEP = 12  # stored levels of a 12-bit film for each of the 256 grey levels
DARKEST = 4095 - 300  # the stored level of black in an inverted 12-bit film


def write_dicom(path: Path, film: Phantom, number: int, inverted: bool, rng: np.random.Generator) -> None:
    """Write a film of the patient by whom the file is named, as in the RSNA set.

    `inverted` makes a MONOCHROME1 file of 12 bits with a window, otherwise it is 8-bit JPEG in MONOCHROME2.
    """
    patient = path.stem
    meta = FileMetaDataset()
    header = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    header.SpecificCharacterSet = "ISO_IR 100"
    header.SOPClassUID = meta.MediaStorageSOPClassUID = ComputedRadiographyImageStorage
    header.SOPInstanceUID = meta.MediaStorageSOPInstanceUID = _uid("instance", patient)
    header.StudyInstanceUID, header.SeriesInstanceUID = _uid("study", patient), _uid("series", patient)
    header.StudyDate, header.StudyTime = "19010101", "000000"  # as in the RSNA set; the clock must not enter the file
    header.StudyID = header.AccessionNumber = header.ReferringPhysicianName = header.PatientBirthDate = ""
    header.Modality, header.Manufacturer = "CR", "hilum phantom"
    header.PatientName, header.PatientID = f"Phantom^{number}", patient
    header.PatientSex, header.PatientAge = film.sex, f"{film.age:03d}Y"
    header.BodyPartExamined, header.ViewPosition = "CHEST", film.view
    header.SeriesDescription = f"view: {film.view}"
    header.SeriesNumber = header.InstanceNumber = 1
    header.Rows, header.Columns = film.pixels.shape
    header.SamplesPerPixel, header.PixelRepresentation = 1, 0
    header.PixelSpacing = [round(DETECTOR_MILLIMETERS / min(film.pixels.shape), 4)] * 2
    if inverted:
        _store_inverted(header, meta, film.pixels, rng)
    else:
        _store_jpeg(header, meta, film.pixels)
    encoded = BytesIO()
    header.save_as(encoded, enforce_file_format=True)
    write_whole(path, encoded.getvalue(), durable=False)


def _store_inverted(
    header: Dataset, meta: FileMetaDataset, pixels: NDArray[np.uint8], rng: np.random.Generator
) -> None:
    between = rng.integers(0, STEP, pixels.shape)  # a real detector has levels between two of the 256 greys
    stored = DARKEST - (pixels.astype(np.int64) * STEP + between)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.PhotometricInterpretation = "MONOCHROME1"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 12, 11
    header.WindowCenter, header.WindowWidth = DARKEST - 128 * STEP + 0.5, 256 * STEP + 1
    header.PixelData = stored.astype("<u2").tobytes()


def _store_jpeg(header: Dataset, meta: FileMetaDataset, pixels: NDArray[np.uint8]) -> None:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=92)
    meta.TransferSyntaxUID = JPEGBaseline8Bit
    header.PhotometricInterpretation = "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 8, 8, 7
    header.LossyImageCompression, header.LossyImageCompressionMethod = "01", "ISO_10918_1"
    header.LossyImageCompressionRatio = round(pixels.size / stream.tell(), 2)
    header.PixelData = encapsulate([stream.getvalue()])
    header["PixelData"].VR = "OB"


def _uid(kind: str, patient: str) -> UID:
    return generate_uid(entropy_srcs=["hilum phantom", kind, patient])
