"""A data set that pydicom holds in memory becomes what an opened DICOM file is, and so passes the same checks.

The few elements that matter are encoded anew and read back as raw bytes: whatever a data set holds (values of the
wrong type, elements never decoded, another byte order) meets the reader as a file would bring it.
"""

from __future__ import annotations

import struct
from io import BytesIO

from pydicom.datadict import keyword_for_tag
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import correct_ambiguous_vr, write_data_element
from pydicom.tag import BaseTag

from hilum.radiograph.bounds import MAX_FILE_BYTES
from hilum.radiograph.dicom import header as tags
from hilum.radiograph.dicom.header import HEADER_ERRORS, Header, Opened, read_elements
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.quiet import quiet

TEXTS = "ISO_IR 192"  # what texts inside a sequence are encoded as: nothing reads them, and UTF-8 refuses none


def open_dataset(dataset: Dataset) -> Opened:
    """The data set as an opened file, whose pixels stand in the encoding that its file meta group names."""
    transfer_syntax = _transfer_syntax(dataset)
    implicit, little = _element_encoding(dataset, transfer_syntax)
    encoded = DicomBytesIO()
    encoded.is_implicit_VR, encoded.is_little_endian = implicit, little
    with quiet():
        for element in _wanted(dataset, implicit, little):
            try:
                write_data_element(encoded, element, TEXTS)
            except HEADER_ERRORS as error:
                raise _unusable(element.tag) from error
            if encoded.tell() > MAX_FILE_BYTES:
                raise ReadError(Reason.TOO_LARGE, f"{keyword_for_tag(element.tag)} is larger than any file may be")
    elements = read_elements(BytesIO(encoded.getvalue()), implicit, little)
    return Opened(Header(elements, little), transfer_syntax, _pixel_element(dataset, little))


def _transfer_syntax(dataset: Dataset) -> str | None:
    try:
        with quiet():
            return str(dataset.file_meta.TransferSyntaxUID).strip(" \0") or None
    except HEADER_ERRORS:  # a data set without a file meta group, or one that is damaged
        return None


def _element_encoding(dataset: Dataset, transfer_syntax: str | None) -> tuple[bool, bool]:
    """Whether elements lack a VR, and whether bytes run little end first: as in the file that the pixels come from."""
    if transfer_syntax is not None:
        return transfer_syntax == tags.IMPLICIT_LITTLE, transfer_syntax != tags.EXPLICIT_BIG
    implicit, little = dataset.original_encoding
    return bool(implicit), little is not False


def _wanted(dataset: Dataset, implicit: bool, little: bool) -> list[DataElement | RawDataElement]:
    """The elements that are looked at. Raw ones stay so where they can: a file may hold what decoding refuses."""
    wanted: dict[BaseTag, DataElement | RawDataElement] = {}
    for tag in map(BaseTag, sorted(tags.WANTED)):
        try:
            element = dataset.get_item(tag)
            if isinstance(element, RawDataElement) and (
                (element.is_implicit_VR, element.is_little_endian) != (implicit, little)
            ):
                element = dataset[tag]
            if element is not None:
                wanted[tag] = element
        except HEADER_ERRORS as error:
            raise _unusable(tag) from error
    decoded = Dataset({tag: element for tag, element in wanted.items() if isinstance(element, DataElement)})
    try:
        if tags.REPRESENTATION in wanted:  # which decides on the type of others
            decoded[tags.REPRESENTATION] = dataset[tags.REPRESENTATION]
        correct_ambiguous_vr(decoded, little)
    except HEADER_ERRORS as error:
        raise ReadError(
            Reason.INCONSISTENT_HEADER, "nothing says whether the values are signed; set PixelRepresentation"
        ) from error
    return list(wanted.values())


def _pixel_element(dataset: Dataset, little: bool) -> BytesIO:
    """What stands in a file from the pixels on; nothing where the data set has none."""
    tag = next((tag for tag in map(BaseTag, (*tags.FLOAT_PIXELS, tags.PIXEL_DATA)) if tag in dataset), None)
    if tag is None:
        return BytesIO()
    try:
        element = dataset.get_item(tag)
    except HEADER_ERRORS as error:
        raise _unusable(tag) from error
    value = element.value
    if not isinstance(value, bytes):
        raise _unusable(tag)
    if len(value) > MAX_FILE_BYTES:
        raise ReadError(
            Reason.TOO_LARGE, f"pixels of {len(value) / 1e6:,.0f} MB; the limit is {MAX_FILE_BYTES >> 20} MB"
        )
    open_ended = element.length == 0xFFFFFFFF if isinstance(element, RawDataElement) else element.is_undefined_length
    length = 0xFFFFFFFF if open_ended else len(value)
    vr = element.VR if element.VR in ("OB", "OW") else "OW"
    start = struct.pack("<HH2s2xI" if little else ">HH2s2xI", tag.group, tag.element, vr.encode(), length)
    return BytesIO(start + value)


def _unusable(tag: BaseTag) -> ReadError:
    return ReadError(Reason.INCONSISTENT_HEADER, f"{keyword_for_tag(tag)} holds what no DICOM file can; correct it")
