"""A DICOM result as lines for people: what a report says, or what another result is and is of."""

from __future__ import annotations

from collections.abc import Iterator

from pydicom.dataset import Dataset

from hilum.system.text import printable

REPORT, STATE, CAPTURE, MAP, LUNGS = (
    "1.2.840.10008.5.1.4.1.1.88.34",
    "1.2.840.10008.5.1.4.1.1.11.1",
    "1.2.840.10008.5.1.4.1.1.7",
    "1.2.840.10008.5.1.4.1.1.30",
    "1.2.840.10008.5.1.4.1.1.66.4",
)
NAMES = {
    REPORT: "Structured report",
    STATE: "Presentation state",
    CAPTURE: "Secondary capture",
    MAP: "Parametric map",
    LUNGS: "Segmentation",
}


def in_lines(result: Dataset) -> Iterator[str]:
    """Line by line; nothing of the patient."""
    kind = str(result.get("SOPClassUID", ""))
    yield f"{NAMES.get(kind, 'DICOM object')}: {_text(result.get('SeriesDescription')) or 'without a description'}"
    made = [_text(result.get(name)) for name in ("Manufacturer", "ManufacturerModelName", "SoftwareVersions")]
    yield f"made by {' '.join(part for part in made if part) or 'an unknown device'}"
    if "ContentSequence" in result:
        flags = [_text(result.get(name)).lower() for name in ("CompletionFlag", "PreliminaryFlag", "VerificationFlag")]
        yield f"status: {', '.join(flag for flag in flags if flag)}"
        yield from _items(result, 0)
    for annotation in result.get("GraphicAnnotationSequence", []):
        for text in annotation.get("TextObjectSequence", []):
            yield f"text: {_text(text.get('UnformattedTextValue'))}"
        for drawn in annotation.get("GraphicObjectSequence", []):
            numbers = ", ".join(f"{float(value):.1f}" for value in drawn.get("GraphicData", []))
            yield f"{_text(drawn.get('GraphicType')).lower()}: {numbers}"
    for segment in result.get("SegmentSequence", []):
        yield f"segment: {_text(segment.get('SegmentLabel'))}"
    if "Rows" in result:
        yield f"{result.Rows} rows, {result.Columns} columns"


def _items(holder: Dataset, depth: int) -> Iterator[str]:
    for item in holder.get("ContentSequence", []):
        name = _meaning(item.get("ConceptNameCodeSequence"))
        yield f"{'  ' * depth}{name}: {_value(item)}".rstrip(": ")
        yield from _items(item, depth + 1)


def _value(item: Dataset) -> str:
    match _text(item.get("ValueType")):
        case "CODE":
            return _meaning(item.get("ConceptCodeSequence"))
        case "NUM" if item.get("MeasuredValueSequence"):
            measured = item.MeasuredValueSequence[0]
            unit = _meaning(measured.get("MeasurementUnitsCodeSequence"))
            return f"{_text(measured.get('NumericValue'))} {'' if unit == 'no units' else unit}".strip()
        case "SCOORD":
            numbers = [f"{float(value):.1f}" for value in item.get("GraphicData", [])]
            return f"{_text(item.get('GraphicType')).lower()} {', '.join(numbers)}"
        case "UIDREF":
            return _text(item.get("UID"))
        case "IMAGE" if item.get("ReferencedSOPSequence"):
            return f"image {_text(item.ReferencedSOPSequence[0].get('ReferencedSOPInstanceUID'))}"
        case "TEXT":
            return _text(item.get("TextValue"))
    return ""


def _meaning(codes: object) -> str:
    return _text(codes[0].get("CodeMeaning")) if codes else ""  # type: ignore[index]


def _text(value: object) -> str:
    return printable(str(value)).strip() if value is not None else ""
