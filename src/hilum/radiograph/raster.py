"""JPEG and PNG files become Radiographs."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile

from hilum.radiograph.arrays import check_range, depth_in_use, unit_floats
from hilum.radiograph.bounds import Claim, check_density, check_jpeg_scans, check_size, jpeg_claim, png_claim, still_png
from hilum.radiograph.errors import ReadError, Reason
from hilum.radiograph.orientation import upright
from hilum.radiograph.quiet import quiet
from hilum.radiograph.radiograph import Radiograph, ReadWarning

ORIENTATION_TAG = 0x0112
Picture = TypeVar("Picture", JpegImageFile, PngImageFile)
# Mean distance of the color channels from each other, from 0 (grey) to 1. Films with a colored stamp stay below it.
STRONGLY_COLORED = 0.05
# The picture classes are opened directly, not through Image.open: hilum's own bounds replace Pillow's global one.
# These are what they are known to raise on damaged content; anything else is a bug to be seen.
PILLOW_ERRORS = (
    *(AssertionError, EOFError, IndexError, KeyError, OSError, SyntaxError, TypeError, ValueError),
    *(struct.error, zlib.error),
)
# What becomes grey levels without a question: 8 bits of grey or color, 16 bits of grey, floats from 0 to 1.
MODES = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "RGBX", "CMYK", "YCbCr", "HSV", "I", "I;16", "I;16B", "I;16L", "F")
JPEG_PROCESSES = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}


def read_jpeg(data: bytes, at_least: int | None, max_megapixels: float) -> Radiograph:
    """The film in a JPEG file, smaller where `at_least` allows it."""
    claim = jpeg_claim(data)
    check_size(claim.width, claim.height, max_megapixels)
    grey, mode, colorfulness, turn = decode_jpeg(data, at_least)
    full_size = (claim.width, claim.height) if turn >= 5 else (claim.height, claim.width)
    return Radiograph(
        pixels=upright(unit_floats(grey, 255), turn),
        format="jpeg",
        encoding=f"JPEG {JPEG_PROCESSES.get(claim.process, 'unusual process')}",
        mode=mode,
        bits=claim.precision,
        height=full_size[0],
        width=full_size[1],
        turn=turn,
        colorfulness=colorfulness,
        warnings=_warnings(turn, colorfulness),
    )


def decode_jpeg(data: bytes, at_least: int | None) -> tuple[NDArray[np.uint8], str, float, int]:
    """Grey levels, mode, colorfulness and EXIF orientation of an 8-bit JPEG whose size was checked.

    With `at_least` the inverse cosine transform runs at 1/2, 1/4 or 1/8 size as long as no side falls below it, which
    skips most of the work.
    """
    claim = jpeg_claim(data)
    if claim.precision != 8:
        raise ReadError(
            Reason.UNSUPPORTED_ENCODING,
            f"a JPEG file of {claim.precision} bits a sample; convert it to a 16-bit PNG or put it in a DICOM file",
        )
    check_jpeg_scans(data, claim)
    check_density(claim.width * claim.height, len(data))
    picture = _open(JpegImageFile, data, claim)
    try:
        turn = _turn_from_exif(picture)
        if at_least is not None:
            picture.draft(picture.mode, (at_least, at_least))
        picture.decodermaxblock = len(data)  # all at once: decoding in blocks of 64 KB suspends and resumes libjpeg
        picture.load()
    except PILLOW_ERRORS as error:
        raise _refusal(error, data, "JPEG") from error
    grey, colorfulness = _to_grey(picture)
    return grey, picture.mode, colorfulness, turn


def read_png(data: bytes, max_megapixels: float) -> Radiograph:
    """The film in a PNG file of any depth or color type."""
    claim = png_claim(data)
    check_size(claim.width, claim.height, max_megapixels)
    picture = _open(PngImageFile, still_png(data), claim)
    try:
        picture.load()  # first, since EXIF may stand behind the pixels
        turn = _turn_from_exif(picture)
    except PILLOW_ERRORS as error:
        raise _refusal(error, data, "PNG") from error
    return _from_picture(picture, turn, "png", claim.precision)


def read_image(picture: Image.Image, max_megapixels: float) -> Radiograph:
    """The film in an image that a program has opened or made with Pillow, turned as its EXIF says, as a file's is."""
    check_size(picture.width, picture.height, max_megapixels)
    if picture.mode not in MODES:
        raise ReadError(Reason.UNSUPPORTED_ENCODING, f"an image of mode {picture.mode}; convert it to L or I;16")
    try:
        with quiet():
            frames = getattr(picture, "n_frames", 1)
        picture.load()
        turn = _turn_from_exif(picture)
    except PILLOW_ERRORS as error:
        raise ReadError(Reason.DAMAGED, "the image cannot be decoded; get its file again from its source") from error
    if frames > 1:
        raise ReadError(Reason.MULTI_FRAME, f"an image of {frames} frames; give a copy() of the one that is meant")
    return _from_picture(picture, turn, "image", 16 if picture.mode.startswith("I") else 8)


def _from_picture(picture: Image.Image, turn: int, source: Literal["png", "image"], bits: int) -> Radiograph:
    """A decoded picture as a film; `bits` is what its samples were stored in."""
    warnings: list[ReadWarning] = []
    colorfulness = 0.0
    if picture.mode == "F":
        levels, highest, bits = np.asarray(picture), 1, 32
        check_range(levels, highest)
    elif picture.mode.startswith("I"):
        levels = np.asarray(picture)
        check_range(levels, 2**16 - 1)
        used = depth_in_use(int(levels.max()))
        if used < bits:
            warnings.append(ReadWarning("shallow_levels", f"a 16-bit picture that uses {used} bits; scaled by these"))
        highest, bits = 2**used - 1, used
    else:
        levels, colorfulness = _to_grey(picture)
        highest = 255
    height, width = levels.shape[::-1] if turn >= 5 else levels.shape
    return Radiograph(
        pixels=upright(unit_floats(levels, highest), turn),
        format=source,
        encoding="PNG" if source == "png" else "PIL image",
        mode=picture.mode,
        bits=bits,
        height=height,
        width=width,
        turn=turn,
        colorfulness=colorfulness,
        warnings=(*warnings, *_warnings(turn, colorfulness)),
    )


def _open(kind: type[Picture], data: bytes, claim: Claim) -> Picture:
    """Pillow's picture before its pixels are decoded, of the size that was checked: whatever a file claims in how many
    places, what Pillow goes by is within the limit."""
    try:
        with quiet():
            picture = kind(BytesIO(data))
    except PILLOW_ERRORS as error:
        raise _refusal(error, data, kind.format) from error
    if picture.size != (claim.width, claim.height):
        raise ReadError(
            Reason.INCONSISTENT_HEADER,
            f"the file claims {claim.width} x {claim.height} pixels in one place and {picture.width} x "
            f"{picture.height} in another; save the film again",
        )
    return picture


def _turn_from_exif(picture: Image.Image) -> int:
    try:
        with quiet():
            turn = picture.getexif().get(ORIENTATION_TAG, 1)
    except PILLOW_ERRORS:
        return 1  # EXIF that cannot be parsed states no orientation; viewers show such a picture as stored
    return turn if turn in range(1, 9) else 1


def _refusal(error: Exception, data: bytes, kind: str) -> ReadError:
    end = b"\xff\xd9" if kind == "JPEG" else b"IEND"
    if "truncated" in str(error).lower() or end not in data[-64:]:
        return ReadError(Reason.TRUNCATED_PIXEL_DATA, f"the {kind} ends before its picture does; copy the file again")
    return ReadError(Reason.DAMAGED, f"the {kind} cannot be decoded; get the file again from its source")


def _to_grey(picture: Image.Image) -> tuple[NDArray[np.uint8], float]:
    """Grey levels of any 8-bit picture (transparent parts black) and how far from grey it was."""
    if picture.mode == "L":
        return np.asarray(picture), 0.0
    if picture.mode == "1":
        return np.asarray(picture.convert("L")), 0.0
    try:
        return _grey_of_color(picture)
    except PILLOW_ERRORS as error:  # a palette that is missing, or of another kind than the pixels
        raise ReadError(Reason.DAMAGED, "the colors cannot be made out; get the file again from its source") from error


def _grey_of_color(picture: Image.Image) -> tuple[NDArray[np.uint8], float]:
    alpha = None
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        alpha = np.asarray(picture.getchannel("A"))
    if picture.mode == "LA":
        color, colorfulness = picture.convert("L"), 0.0
    else:
        color = picture.convert("RGB")
        colorfulness = _colorfulness(color)
    grey = np.asarray(color.convert("L"))
    if alpha is not None and alpha.min() < 255:
        grey = (grey.astype(np.uint16) * alpha // 255).astype(np.uint8)
    return grey, colorfulness


def _colorfulness(color: Image.Image) -> float:
    sample = np.asarray(color.resize((64, 64), Image.Resampling.NEAREST), dtype=np.float32)
    return float((sample.max(axis=2) - sample.min(axis=2)).mean() / 255)


def color_warning(colorfulness: float) -> tuple[ReadWarning, ...]:
    """A warning where a picture is too colorful for a film."""
    if colorfulness <= STRONGLY_COLORED:
        return ()
    return (ReadWarning("strongly_colored", "a color picture, turned grey; films are grey: is it a film?"),)


def _warnings(turn: int, colorfulness: float) -> tuple[ReadWarning, ...]:
    turned = (ReadWarning("turned", f"turned upright as its EXIF orientation ({turn}) says"),) if turn != 1 else ()
    return (*turned, *color_warning(colorfulness))
