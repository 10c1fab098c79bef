"""A DICOM file becomes a Radiograph: header checked, pixels decoded, shown as DICOM's grayscale pipeline says."""

from __future__ import annotations

import math
import re
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset

from hilum.radiograph.bounds import check_size
from hilum.radiograph.dicom import header as tags
from hilum.radiograph.dicom.dataset import open_dataset
from hilum.radiograph.dicom.grayscale import LookupTable, Pipeline, Window
from hilum.radiograph.dicom.header import Header, Opened, open_dicom
from hilum.radiograph.dicom.pixels import Layout, read_color, read_stored
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.orientation import turn_from_patient_orientation, upright
from hilum.radiograph.radiograph import Radiograph, ReadWarning
from hilum.radiograph.raster import color_warning

GREY = ("MONOCHROME1", "MONOCHROME2")
COLOR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT", "PALETTE COLOR")
# Only these are passed on: ViewPosition is free text in many files, and may hold anything.
VIEWS = ("AP", "PA", "LL", "RL", "RLD", "LLD", "RLO", "LLO", "LATERAL")
# The same as codes of SNOMED CT, and of its forerunner SNOMED RT.
VIEW_CODES = {"399348003": "AP", "272479007": "PA", "399173006": "LL", "399198007": "RL", "399067008": "LATERAL"}
VIEW_CODES |= {"R-10206": "AP", "R-10214": "PA", "R-10236": "LL", "R-10232": "RL"}
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
HEADER_BYTES = 16_000_000
UNITS_A_YEAR = {"Y": 1.0, "M": 12.0, "W": 365.25 / 7, "D": 365.25}
OLDEST = 125  # years; what is above stands for "unknown" or is a slip


def read_dicom(file: BinaryIO, at_least: int | None, max_megapixels: float) -> Radiograph:
    """The film in a DICOM file."""
    # Color films of 3 bytes and grey ones of 2 fit into 3 bytes a pixel, plus a generous header.
    return show(open_dicom(file, max_inflated=int(max_megapixels * 3e6) + HEADER_BYTES), at_least, max_megapixels)


def read_dicom_dataset(dataset: Dataset, at_least: int | None, max_megapixels: float) -> Radiograph:
    """The film in a data set that pydicom has read or a program has put together."""
    return show(open_dataset(dataset), at_least, max_megapixels)


def show(opened: Opened, at_least: int | None, max_megapixels: float) -> Radiograph:
    """The film as DICOM's grayscale pipeline shows it, upright."""
    header = opened.header
    warnings: list[ReadWarning] = []
    layout = _check_layout(opened, max_megapixels, warnings)
    if layout.photometric in GREY:
        stored = read_stored(opened, layout, at_least, max_megapixels)
        pipeline = _pipeline(header, stored.bits, stored.signed, layout.photometric == "MONOCHROME1", warnings)
        pixels, followed = pipeline.render(stored.values)
        if pipeline.voi is not None and not followed:
            warnings.append(ReadWarning("window_ignored", "the window shows one grey level; contrast was stretched"))
        bits, colorfulness = stored.bits, 0.0
    else:
        pixels, colorfulness = _grey_from_color(opened, layout, max_megapixels)
        bits = layout.stored
        warnings.extend(color_warning(colorfulness))
    turn = _turn(header, warnings)
    if header.text(tags.BURNED_IN).upper() == "YES":
        warnings.append(ReadWarning("burned_in_annotation", "the header says that text is burned into the pixels"))
    on_its_side = turn >= 5
    spacing = _pixel_spacing(header, warnings)
    return Radiograph(
        pixels=upright(pixels, turn),
        format="dicom",
        encoding=opened.encoding,
        mode=layout.photometric,
        bits=bits,
        height=layout.columns if on_its_side else layout.rows,
        width=layout.rows if on_its_side else layout.columns,
        pixel_spacing=(spacing[1], spacing[0]) if spacing and on_its_side else spacing,
        view=_view(header),
        laterality=_laterality(header),
        turn=turn,
        colorfulness=colorfulness,
        warnings=tuple(warnings),
        age=_age(header),
    )


def _check_layout(opened: Opened, max_megapixels: float, warnings: list[ReadWarning]) -> Layout:
    """The pixel description, or the reason why there is no single film to be shown."""
    header = opened.header
    rows, columns = header.word(tags.ROWS), header.word(tags.COLUMNS)
    tag = opened.file.read(4)
    opened.file.seek(-len(tag), 1)
    has_pixels = tag == (b"\xe0\x7f\x10\x00" if header.little_endian else b"\x7f\xe0\x00\x10")
    if not has_pixels:
        if tag in (b"\xe0\x7f\x08\x00", b"\xe0\x7f\x09\x00"):
            raise ReadError(Reason.UNSUPPORTED_ENCODING, "floating-point pixels; films are stored as integers")
        if rows and columns:
            raise ReadError(Reason.TRUNCATED_PIXEL_DATA, "the file ends before its pixels; copy the file again")
        raise ReadError(Reason.NOT_AN_IMAGE, f"a DICOM object without a picture ({header.kind}); give the film itself")
    if not rows or not columns:
        raise ReadError(Reason.INCONSISTENT_HEADER, "the header does not state Rows and Columns")
    check_size(columns, rows, max_megapixels)
    frames = header.decimals(tags.FRAMES)
    if frames and frames[0] > 1:
        raise ReadError(
            Reason.MULTI_FRAME,
            f"{frames[0]:.0f} frames ({header.kind}); export the film that is meant",
        )
    photometric = header.text(tags.PHOTOMETRIC).upper()
    samples = header.word(tags.SAMPLES)
    if not photometric:
        raise ReadError(
            Reason.INCONSISTENT_HEADER,
            "no PhotometricInterpretation: bright may or may not mean dense; repair the header",
        )
    if photometric not in GREY + COLOR:
        raise ReadError(Reason.UNSUPPORTED_ENCODING, "an unknown PhotometricInterpretation; export the film as PNG")
    expected = 3 if photometric in COLOR[:-1] else 1  # palette color has one sample, an index
    if samples is None:
        samples = expected
    if samples != expected:
        raise ReadError(Reason.INCONSISTENT_HEADER, f"{photometric} with SamplesPerPixel {samples}")
    allocated, stored = header.word(tags.ALLOCATED), header.word(tags.STORED)
    if allocated not in (8, 16):
        stated = "no BitsAllocated" if allocated is None else f"BitsAllocated {allocated}"
        raise ReadError(
            Reason.INCONSISTENT_HEADER if allocated is None else Reason.UNSUPPORTED_ENCODING,
            f"{stated}; films have 8 or 16",
        )
    high_bit = header.word(tags.HIGH_BIT)
    if stored is None:
        stored = high_bit + 1 if high_bit is not None else allocated
        warnings.append(ReadWarning("bits_stored_missing", f"no BitsStored; taken as {stored}"))
    if not 1 <= stored <= allocated or (high_bit is not None and high_bit != stored - 1):
        raise ReadError(
            Reason.INCONSISTENT_HEADER,
            f"BitsAllocated {allocated}, BitsStored {stored} and HighBit {high_bit} contradict each other",
        )
    if opened.transfer_syntax is None:
        warnings.append(ReadWarning("transfer_syntax_missing", "no transfer syntax stated; recognized by the content"))
    signed = header.word(tags.REPRESENTATION) == 1
    return Layout(rows, columns, samples, allocated, stored, signed, photometric)


def _pipeline(header: Header, bits: int, signed: bool, inverted: bool, warnings: list[ReadWarning]) -> Pipeline:
    slope, intercept = (next(iter(header.decimals(tag)), math.nan) for tag in (tags.SLOPE, tags.INTERCEPT))
    if header.has(tags.SLOPE) or header.has(tags.INTERCEPT):
        slope = 1.0 if math.isnan(slope) and not header.raw(tags.SLOPE) else slope
        intercept = 0.0 if math.isnan(intercept) and not header.raw(tags.INTERCEPT) else intercept
        if not (math.isfinite(slope) and math.isfinite(intercept) and 0 < abs(slope) < 1e30 and abs(intercept) < 1e30):
            warnings.append(ReadWarning("rescale_ignored", "the rescale slope or intercept is no usable number"))
            slope, intercept = 1.0, 0.0
    else:
        slope, intercept = 1.0, 0.0
    modality = _lookup_table(header, tags.MODALITY_LUT, signed, warnings)
    return Pipeline(
        bits=bits,
        signed=signed,
        inverted=inverted,
        modality=modality,
        slope=slope,
        intercept=intercept,
        voi=_lookup_table(header, tags.VOI_LUT, signed, warnings) or _window(header, warnings),
        padding=header.word(tags.PADDING, signed),
    )


def _lookup_table(header: Header, tag: int, signed: bool, warnings: list[ReadWarning]) -> LookupTable | None:
    if not header.has(tag):
        return None
    item = header.first_item(tag)
    descriptor = item.words(tags.LUT_DESCRIPTOR, signed) if item else []
    data = item.raw(tags.LUT_DATA) if item else None
    if item and data and len(descriptor) == 3:
        count = (descriptor[0] & 0xFFFF) or 65536  # which does not fit into 16 bits
        order = "<" if item.little_endian else ">"
        entries = np.frombuffer(data[: len(data) & ~1], f"{order}u2")
        if descriptor[2] == 8 and len(entries) < count <= len(data):  # two 8-bit entries a word
            entries = np.frombuffer(data, "u1")
        if len(entries) >= count and 1 <= descriptor[2] <= 16:
            return LookupTable(descriptor[1], descriptor[2], entries[:count].astype(np.uint16))
    if not item:
        return None
    warnings.append(ReadWarning("lut_ignored", "a lookup table in the header is damaged and was not used"))
    return None


def _window(header: Header, warnings: list[ReadWarning]) -> Window | None:
    centers, widths = header.decimals(tags.CENTER), header.decimals(tags.WIDTH)
    if not centers and not widths:
        return None
    function = header.text(tags.FUNCTION).upper() or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        warnings.append(ReadWarning("window_function_unknown", "an unknown window function; taken as LINEAR"))
        function = "LINEAR"
    if centers and widths:
        window = Window(centers[0], widths[0], function)
        if window.is_valid:
            return window
    warnings.append(ReadWarning("window_ignored", "the window is no usable number; contrast was stretched"))
    return None


def _grey_from_color(opened: Opened, layout: Layout, max_megapixels: float) -> tuple[NDArray[np.float32], float]:
    if layout.photometric == "PALETTE COLOR":
        raise ReadError(Reason.UNSUPPORTED_ENCODING, "palette colors, which no film has; export it as PNG")
    color = read_color(opened, layout, max_megapixels)
    highest = np.float32(2**layout.stored - 1 if color.dtype.itemsize * 8 >= layout.stored else 255)
    sample = color[:: max(layout.rows // 64, 1), :: max(layout.columns // 64, 1)].astype(np.float32)
    colorfulness = float((sample.max(axis=2) - sample.min(axis=2)).mean() / highest)
    return np.clip(color @ (LUMA / highest), 0, 1).astype(np.float32), min(colorfulness, 1.0)


def _turn(header: Header, warnings: list[ReadWarning]) -> int:
    directions = header.texts(tags.PATIENT_ORIENTATION)
    if len(directions) != 2 or not all(directions):
        return 1
    rows_to, columns_to = (direction[0].upper() for direction in directions)
    turn = turn_from_patient_orientation(rows_to, columns_to)
    if turn != 1:
        warnings.append(ReadWarning("turned", "turned upright as its PatientOrientation says"))
    return turn


def _pixel_spacing(header: Header, warnings: list[ReadWarning]) -> tuple[float, float] | None:
    """In the patient where the header states it, else on the detector, where the shadows are a little larger."""
    for tag in (tags.SPACING, tags.IMAGER_SPACING):
        spacing = header.decimals(tag)
        if len(spacing) == 2:
            if all(math.isfinite(step) and step > 0 for step in spacing):
                return spacing[0], spacing[1]
            warnings.append(ReadWarning("pixel_spacing_ignored", "the pixel spacing is not positive; ignored"))
    return None


def _view(header: Header) -> str | None:
    view = header.text(tags.VIEW_POSITION).upper()
    if view in VIEWS:
        return view
    code = header.first_item(tags.VIEW_CODE)
    return VIEW_CODES.get(code.text(tags.CODE_VALUE)) if code else None


def _age(header: Header) -> float | None:
    """Years from what DICOM calls an age string (PS3.5): 045Y, 006M, 012W or 003D, and nothing else."""
    if not (match := re.fullmatch(r"(\d{3})([YMWD])", header.text(tags.AGE))):
        return None
    age = int(match[1]) / UNITS_A_YEAR[match[2]]
    return age if age <= OLDEST else None


def _laterality(header: Header) -> str | None:
    for tag in (tags.IMAGE_LATERALITY, tags.LATERALITY):
        side = header.text(tag).upper()
        if side in ("L", "R", "B", "U"):
            return side
    return None
