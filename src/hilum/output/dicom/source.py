"""The film that a result is about, as far as its header has to be copied: patient, study, and how its pixels lie.

What the standard wants and the film lacks is filled by the standard's rules, and told. Texts are decoded once and
written as UTF-8, whatever character sets the film mixes. Nothing else of the header goes on.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from os import PathLike
from typing import BinaryIO

from pydicom import dcmread
from pydicom.config import RAISE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError
from pydicom.multival import MultiValue
from pydicom.uid import UID, ComputedRadiographyImageStorage
from pydicom.valuerep import validate_value

from hilum.radiograph.dicom.header import HEADER_ERRORS
from hilum.radiograph.quiet import quiet

UTF8 = "ISO_IR 192"
UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
# Type 2 in every object: there, maybe empty. Whose film it is has to stay as an archive knows it, odd or not.
TEXTS = ("PatientName", "PatientID", "StudyID", "AccessionNumber", "ReferringPhysicianName")
OF_WHOM = (*UIDS, "PatientName", "PatientID", "StudyID", "AccessionNumber", "SpecificCharacterSet")
DATES, TIMES = ("PatientBirthDate", "StudyDate"), ("StudyTime",)
COPIED = (
    *(*UIDS, *TEXTS, *DATES, *TIMES, "SpecificCharacterSet", "PatientSex"),
    *("SOPClassUID", "Modality", "ImageType", "InstanceNumber", "SeriesNumber", "StudyDescription"),
    *("PatientOrientation", "Laterality", "ImageLaterality", "ViewPosition", "BodyPartExamined"),
    *("PresentationIntentType", "PhotometricInterpretation", "SamplesPerPixel", "NumberOfFrames", "Rows", "Columns"),
    *("BitsAllocated", "BitsStored", "HighBit", "PixelRepresentation", "PixelSpacing", "ImagerPixelSpacing"),
    *("RescaleSlope", "RescaleIntercept", "RescaleType", "WindowCenter", "WindowWidth", "PresentationLUTShape"),
)
DATE, TIME = re.compile(r"\d{8}"), re.compile(r"\d{2}(\d{2}(\d{2}(\.\d{1,6})?)?)?")
FOR_PROCESSING = "FOR PROCESSING"


class NoResultError(ValueError):
    """No DICOM result can be made of this film; one line why."""


@dataclass(frozen=True, slots=True)
class Source:
    """A film's header, fit to be referred to. `mended` says in words what had to be filled or left out."""

    header: Dataset
    mended: tuple[str, ...]

    @property
    def for_processing(self) -> bool:
        """Whether it is the raw film, of which there is mostly one for people as well."""
        return str(self.header.get("PresentationIntentType", "")).strip().upper() == FOR_PROCESSING

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns as stored."""
        return int(self.header.Rows), int(self.header.Columns)


def open_source(film: str | PathLike[str] | BinaryIO) -> Source:
    """The header of a film that was read before. NoResultError where nothing in DICOM can refer to it."""
    try:
        with quiet():
            held = dcmread(film, stop_before_pixels=True, specific_tags=list(COPIED), force=False)
    except InvalidDicomError:
        raise NoResultError("is no DICOM file, so no DICOM result can refer to it") from None
    except HEADER_ERRORS as error:
        raise NoResultError(f"its header cannot be copied ({type(error).__name__})") from None
    return fit_source(held)


def fit_source(held: Dataset) -> Source:
    """The same of a data set in memory."""
    header, mended = Dataset(), []
    with quiet():
        for name in COPIED:
            element = _element(held, name)
            if element is None:
                continue
            if name in OF_WHOM or _valid(element):
                header.add(element)
            else:
                mended.append(f"{name} holds what the standard does not allow and is left out")
    for name in UIDS:
        uid = UID(str(header.get(name, "")).strip())
        if not (uid and uid.is_valid and len(uid) <= 64):
            raise NoResultError(f"has no valid {name}, so no DICOM result can refer to it")
        setattr(header, name, uid)
    if not all(isinstance(header.get(name), int) and header.get(name) > 0 for name in ("Rows", "Columns")):
        raise NoResultError("its header does not say how many rows and columns it has")
    for name in TEXTS:
        if name not in header:
            mended.append(f"{name} is missing and stays empty")
            setattr(header, name, "")
    for names, pattern in ((DATES, DATE), (TIMES, TIME)):
        for name in names:
            value = str(header.get(name) or "")
            if name not in header or (value and not pattern.fullmatch(value)):
                mended.append(f"{name} is {'no valid date or time' if value else 'missing'} and stays empty")
                setattr(header, name, "")
    sex = str(header.get("PatientSex") or "").strip().upper()
    if "PatientSex" not in header or sex not in ("", "M", "F", "O"):
        mended.append(f"PatientSex is {'none of M, F, O' if sex else 'missing'} and stays empty")
        sex = ""
    header.PatientSex = sex
    if not UID(str(header.get("SOPClassUID", ""))).is_valid:
        mended.append("SOPClassUID is missing; taken for computed radiography")
        header.SOPClassUID = ComputedRadiographyImageStorage
    if any(_number(value) <= 0 for value in _values(header.get("PixelSpacing"))):
        mended.append("PixelSpacing is no spacing and is left out")
        del header.PixelSpacing
    header.SpecificCharacterSet = UTF8
    return Source(header, tuple(mended))


def _element(held: Dataset, name: str) -> DataElement | None:
    """An element decoded; None where there is none, or nothing that can be decoded."""
    try:
        return held[name] if name in held else None  # noqa: SIM401, get gives a value
    except HEADER_ERRORS:
        return None


def _valid(element: DataElement) -> bool:
    try:
        for value in _values(element.value):
            if isinstance(value, str):  # what could be read as a number is one
                validate_value(element.VR, value, RAISE)
    except HEADER_ERRORS:
        return False
    return True


def _values(value: object) -> list[object]:
    return [] if value is None else list(value) if isinstance(value, MultiValue) else [value]


def _number(value: object) -> float:
    try:
        return float(str(value))
    except ValueError:
        return 0.0
