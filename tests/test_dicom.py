"""DICOM films in every encoding, and the damaged and odd headers that hospitals and exports produce."""

from __future__ import annotations

import sys
import warnings
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PYDICOM_DATA_FILES, PYDICOM_FILES
from films import dicom, implicit_dicom, picture, ramp, smooth_picture
from format_mutants import VRS, element, split_dicom
from imagecodecs import htj2k_encode, jpeg2k_encode, jpeg_encode
from numpy.typing import NDArray
from PIL import Image, ImageOps
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, get_frame
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

from hilum import ReadError, Reason, read
from hilum.radiograph.dicom.header import VIEW_CODE, VOI_LUT, WANTED
from hilum.system.installed import install_extra

WINDOW: dict[str, Any] = {"WindowCenter": 2047.5, "WindowWidth": 4095, "VOILUTFunction": "LINEAR_EXACT"}
WINDOW["BitsStored"] = 12
LOSSLESS_SYNTAXES = [RLELossless, JPEG2000Lossless, JPEGLSLossless, JPEGLosslessSV1]


def refusal(data: bytes) -> ReadError:
    with pytest.raises(ReadError) as caught:
        read(data)
    assert "\n" not in str(caught.value)
    assert "Doe" not in str(caught.value)
    assert "secret" not in str(caught.value)
    return caught.value


def codes(data: bytes) -> list[str]:
    return [warning.code for warning in read(data).warnings]


def compressed(pixels: NDArray[Any], transfer_syntax: str) -> bytes:
    """Encoded by another program than the one that hilum decodes with, where there is one."""
    if transfer_syntax in (JPEGLosslessSV1, JPEGExtended12Bit):
        lossless = transfer_syntax == JPEGLosslessSV1
        frame = bytes(jpeg_encode(pixels, level=100, bitspersample=12, lossless=lossless))
        return dicom(pixels, transfer_syntax=transfer_syntax, frame=frame, **WINDOW)
    if transfer_syntax == HTJ2KLossless:
        return dicom(pixels, transfer_syntax=transfer_syntax, frame=bytes(htj2k_encode(pixels)), **WINDOW)
    if transfer_syntax == JPEG2000Lossless:
        frame = bytes(jpeg2k_encode(pixels, codecformat="j2k", bitspersample=12, reversible=True))
        return dicom(pixels, transfer_syntax=transfer_syntax, frame=frame, **WINDOW)
    film = dcmread(BytesIO(dicom(pixels, **WINDOW)))
    film.compress(transfer_syntax, generate_instance_uid=False)
    stream = BytesIO()
    film.save_as(stream)
    return stream.getvalue()


@pytest.mark.parametrize(
    "transfer_syntax",
    [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian],
)
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int16])
def test_native_encodings_are_exact(transfer_syntax: str, dtype: type) -> None:
    pixels: NDArray[Any] = ramp(5, 7, 100).astype(dtype)  # an odd number of bytes
    film = read(
        dicom(pixels, transfer_syntax=transfer_syntax, WindowCenter=50, WindowWidth=100, VOILUTFunction="LINEAR_EXACT")
    )
    np.testing.assert_allclose(film.pixels, pixels / 100, atol=1e-6)


@pytest.mark.parametrize(
    "transfer_syntax", [RLELossless, JPEG2000Lossless, HTJ2KLossless, JPEGLSLossless, JPEGLosslessSV1]
)
def test_lossless_encodings_are_exact(transfer_syntax: str) -> None:
    pixels = np.random.default_rng(1).integers(0, 4096, (37, 53), dtype=np.uint16)
    film = read(compressed(pixels, transfer_syntax))
    np.testing.assert_allclose(film.pixels, pixels / 4095, atol=1e-6)
    assert film.bits == (16 if transfer_syntax == HTJ2KLossless else 12)


def test_twelve_bit_jpeg_is_close() -> None:
    pixels = (smooth_picture(64, 64).astype(np.uint16)) * 16
    film = read(compressed(pixels, JPEGExtended12Bit))
    np.testing.assert_allclose(film.pixels, pixels / 4095, atol=0.01)


def test_baseline_jpeg_and_its_reduction() -> None:
    pixels = smooth_picture(400, 300)
    frame = picture(Image.fromarray(pixels), "JPEG", quality=95)
    data = dicom(
        pixels,
        transfer_syntax=JPEGBaseline8Bit,
        frame=frame,
        WindowCenter=127.5,
        WindowWidth=255,
        VOILUTFunction="LINEAR_EXACT",
    )
    np.testing.assert_allclose(read(data).pixels, pixels / 255, atol=0.02)
    small = read(data, at_least=100)
    assert small.pixels.shape == (134, 100) or small.pixels.shape == (200, 150)
    assert (small.height, small.width) == (400, 300)


def test_frames_in_several_fragments_are_joined() -> None:
    pixels = ramp(32, 32)
    whole = compressed(pixels, JPEG2000Lossless)
    frame = dcmread(BytesIO(whole))
    stream = get_frame(frame.PixelData, 0, number_of_frames=1)
    frame.PixelData = encapsulate([stream], fragments_per_frame=3, has_bot=False)
    out = BytesIO()
    frame.save_as(out)
    np.testing.assert_array_equal(read(out.getvalue()).pixels, read(whole).pixels)


def test_the_real_chest_film_is_the_same_native_and_lossless_and_as_its_twin() -> None:
    native = read(PYDICOM_DATA_FILES / "RG1_UNCR.dcm")
    lossless = read(PYDICOM_DATA_FILES / "RG1_J2KR.dcm")
    np.testing.assert_array_equal(native.pixels, lossless.pixels)
    assert native.view == "PA"
    assert native.pixels.shape == (1955, 1841)
    film = dcmread(PYDICOM_DATA_FILES / "RG1_UNCR.dcm")
    stored = film.pixel_array
    film.PixelData = (32767 - stored).tobytes()
    film.PhotometricInterpretation = "MONOCHROME2"
    film.WindowCenter = 32767 - 15000 + 1  # mirrors c - 0.5 at (32767 - x)
    out = BytesIO()
    film.save_as(out)
    np.testing.assert_allclose(read(out.getvalue()).pixels, native.pixels, atol=1e-6)


@pytest.mark.parametrize("name", sorted(path.name for path in PYDICOM_FILES.glob("*.dcm")))
def test_stored_values_of_bundled_grey_files_agree_with_pydicom(name: str) -> None:
    """Whatever pydicom decodes as one grey frame, hilum shows in the same order of grey levels, or says why not."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            film = read(PYDICOM_FILES / name)
        except ReadError:
            return
        header = dcmread(PYDICOM_FILES / name, force=True)
        pydicom_lacks_the_codec = "Extended" in film.encoding or "JPEG Lossless" in film.encoding
        if not film.mode.startswith("MONOCHROME") or pydicom_lacks_the_codec:
            return
        values = header.pixel_array.astype(np.float64)
    inside = (film.pixels > 0) & (film.pixels < 1)
    if inside.sum() < 2:
        return
    slope, offset = np.polyfit(values[inside], film.pixels[inside], 1)
    np.testing.assert_allclose(film.pixels[inside], values[inside] * slope + offset, atol=1e-3)
    assert (slope > 0) == (film.mode == "MONOCHROME2")


def test_color_is_turned_grey_with_a_warning() -> None:
    color = np.zeros((10, 12, 3), np.uint8)
    color[:, :6], color[:, 6:] = (200, 40, 10), (10, 90, 220)
    film = read(dicom(color))
    np.testing.assert_allclose(film.pixels, color @ np.array([0.299, 0.587, 0.114]) / 255, atol=1e-5)
    assert [warning.code for warning in film.warnings] == ["strongly_colored"]


def test_only_what_is_needed_of_the_header_is_kept() -> None:
    film = read(dicom(ViewPosition="PA", ImageLaterality="U", PixelSpacing=[0.2, 0.3], PatientAge="042Y"))
    assert (film.view, film.laterality, film.pixel_spacing) == ("PA", "U", (0.2, 0.3))
    assert "Doe" not in repr(film) + repr(film.describe())
    assert "secret" not in repr(film) + repr(film.describe())


def test_free_text_in_the_view_is_not_passed_on() -> None:
    assert read(dicom(ViewPosition="DOE JANE")).view is None


def test_the_view_can_be_stated_as_a_code() -> None:
    code = Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399348003", "SCT", "antero-posterior"
    assert read(dicom(ViewCodeSequence=[code])).view == "AP"


@pytest.mark.parametrize(("orientation", "turn"), [("L\\F", 1), ("R\\H", 3), ("R\\F", 2), ("F\\L", 5), ("H\\R", 7)])
def test_patient_orientation_turns_the_film_upright(orientation: str, turn: int) -> None:
    upright = read(dicom()).pixels
    # the code is the EXIF turn to be undone; Pillow's transposition of the turned film is the independent reference
    film = read(dicom(PatientOrientation=orientation.split("\\"), PixelSpacing=[0.1, 0.2]))
    stored = Image.fromarray(np.rint(upright * 255).astype(np.uint8))
    stored.getexif()[0x0112] = turn
    expected = np.asarray(ImageOps.exif_transpose(stored))
    np.testing.assert_allclose(film.pixels, expected / 255, atol=0.003)
    assert film.turn == turn
    assert film.pixel_spacing == ((0.2, 0.1) if turn >= 5 else (0.1, 0.2))
    assert (film.height, film.width) == film.pixels.shape


def test_warnings_that_a_user_may_act_on() -> None:
    assert codes(dicom(BurnedInAnnotation="YES")) == ["burned_in_annotation"]
    assert codes(dicom(BurnedInAnnotation="NO")) == []
    assert codes(dicom(PixelSpacing=[0, 0])) == ["pixel_spacing_ignored"]
    assert read(dicom(PixelSpacing=[0, 0], ImagerPixelSpacing=[0.1, 0.1])).pixel_spacing == (0.1, 0.1)
    assert codes(dicom(without=("BitsStored",))) == ["bits_stored_missing"]


@pytest.mark.parametrize("charset", ["ISO 2022 IR 87", "ISO 2022 IR 149", "GB18030", "ISO_IR 192", "NONSENSE 1"])
def test_names_in_any_character_set_do_not_matter(charset: str) -> None:
    with warnings.catch_warnings():  # pydicom warns while writing what hilum has to cope with
        warnings.simplefilter("ignore")
        data = dicom(SpecificCharacterSet=charset, PatientName="x" * 8)
    data = data.replace(b"x" * 8, "山田".encode("euc-jp") + b"\x1b$B ")
    np.testing.assert_array_equal(read(data).pixels, read(dicom()).pixels)


def test_without_file_meta_the_content_tells_the_encoding() -> None:
    explicit = dicom(transfer_syntax=None)
    assert codes(explicit) == ["transfer_syntax_missing"]
    np.testing.assert_array_equal(read(explicit).pixels, read(dicom()).pixels)
    implicit = implicit_dicom(ramp())
    bare = implicit[implicit.index(b"\x08\0\x16\0") :]
    np.testing.assert_array_equal(read(bare).pixels, read(dicom()).pixels)


@pytest.mark.parametrize(
    ("elements", "reason"),
    [
        ({"HighBit": 15, "BitsStored": 12}, Reason.INCONSISTENT_HEADER),
        ({"BitsStored": 17, "HighBit": 16}, Reason.INCONSISTENT_HEADER),
        ({"BitsStored": 0, "HighBit": 0}, Reason.INCONSISTENT_HEADER),
        ({"without": ("PhotometricInterpretation",)}, Reason.INCONSISTENT_HEADER),
        ({"without": ("BitsAllocated",)}, Reason.INCONSISTENT_HEADER),
        ({"without": ("Rows",)}, Reason.INCONSISTENT_HEADER),
        ({"SamplesPerPixel": 3}, Reason.INCONSISTENT_HEADER),
        ({"Rows": 0}, Reason.INCONSISTENT_HEADER),
        ({"NumberOfFrames": 7}, Reason.MULTI_FRAME),
        ({"BitsAllocated": 1, "BitsStored": 1}, Reason.UNSUPPORTED_ENCODING),
        ({"BitsAllocated": 32, "BitsStored": 32}, Reason.UNSUPPORTED_ENCODING),
        ({"PhotometricInterpretation": "HSV"}, Reason.UNSUPPORTED_ENCODING),
        ({"Rows": 13}, Reason.TRUNCATED_PIXEL_DATA),
        ({"Rows": 65535, "Columns": 65535}, Reason.TOO_LARGE),
        ({"without": ("PixelData",)}, Reason.TRUNCATED_PIXEL_DATA),
    ],
)
def test_contradictory_headers_are_typed_errors(elements: dict[str, Any], reason: Reason) -> None:
    assert refusal(dicom(**elements)).reason is reason


def test_objects_without_a_picture_are_named() -> None:
    without = ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit")
    presentation_state = "1.2.840.10008.5.1.4.1.1.11.1"
    error = refusal(dicom(without=without, SOPClassUID=presentation_state))
    assert error.reason is Reason.NOT_AN_IMAGE
    assert "Grayscale Softcopy Presentation State" in error.detail
    for name in ("rtplan.dcm", "test-SR.dcm", "rtstruct.dcm"):
        with pytest.raises(ReadError) as caught:
            read(PYDICOM_FILES / name)
        assert caught.value.reason is Reason.NOT_AN_IMAGE


@pytest.mark.parametrize("transfer_syntax", LOSSLESS_SYNTAXES)
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_compressed_pixels_are_typed_errors(transfer_syntax: str, share: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 4096, (64, 64), dtype=np.uint16)
    whole = compressed(pixels, transfer_syntax)
    start = whole.index(b"\xe0\x7f\x10\x00")
    assert refusal(whole[: start + int((len(whole) - start) * share)]).reason is Reason.TRUNCATED_PIXEL_DATA
    # the same stream cut short but put into a complete fragment
    film = dcmread(BytesIO(whole))
    stream = get_frame(film.PixelData, 0, number_of_frames=1)
    film.PixelData = encapsulate([stream[: int(len(stream) * share)]])
    out = BytesIO()
    film.save_as(out)
    assert refusal(out.getvalue()).reason in (Reason.TRUNCATED_PIXEL_DATA, Reason.DAMAGED)


def test_truncated_native_pixels_say_how_much_is_there() -> None:
    error = refusal(dicom()[:-100])
    assert error.reason is Reason.TRUNCATED_PIXEL_DATA
    assert "284 of 384 bytes" in error.detail


def test_a_codestream_that_contradicts_the_header_is_refused_before_decoding() -> None:
    small, large = ramp(16, 16), ramp(64, 64)
    frame = dcmread(BytesIO(compressed(large, JPEG2000Lossless))).PixelData
    data = dicom(small, transfer_syntax=JPEG2000Lossless, frame=frame[16 + 8 :], **WINDOW)
    assert refusal(data).reason in (Reason.INCONSISTENT_HEADER, Reason.UNSUPPORTED_ENCODING)
    jpeg = picture(Image.fromarray(smooth_picture(64, 64)), "JPEG")
    data = dicom(smooth_picture(16, 16), transfer_syntax=JPEGBaseline8Bit, frame=jpeg)
    assert refusal(data).reason is Reason.INCONSISTENT_HEADER


def test_what_stands_in_the_place_of_a_uid_is_never_repeated() -> None:
    without = ("PixelData", "Rows", "Columns", "BitsAllocated", "BitsStored", "HighBit")
    data = dicom(without=without).replace(b"1.2.840.10008.5.1.4.1.1.1\0\x08", b"Doe^Jane 1.2.840.10008.5 \x08")
    assert "unknown kind of object" in refusal(data).detail


@pytest.mark.parametrize("photometric", ["MONOCHROME2", "RGB"])
def test_the_wrapper_of_a_jpeg_2000_picture_without_the_picture_is_refused(photometric: str) -> None:
    """For color this once never ended: pydicom looks for the picture from box to box, and a box may have no length."""
    wrapper = b"\0\0\0\x0cjP  \r\n\x87\n" + bytes(200)
    levels = ramp(highest=255).astype(np.uint8)
    levels = levels if photometric == "MONOCHROME2" else np.stack([levels] * 3, axis=2)
    data = dicom(levels, transfer_syntax=JPEG2000Lossless, frame=wrapper, PhotometricInterpretation=photometric)
    assert refusal(data).reason is Reason.UNSUPPORTED_ENCODING


def test_an_unknown_compression_is_named() -> None:
    data = dicom(transfer_syntax="1.2.840.10008.1.2.4.100", frame=b"\0\0\1\xb3" * 10)
    error = refusal(data)
    assert error.reason is Reason.UNSUPPORTED_ENCODING
    assert "MPEG2" in error.detail


def test_a_missing_extra_is_named_with_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "imagecodecs", None)
    error = refusal(LOSSLESS)
    assert error.reason is Reason.UNSUPPORTED_ENCODING
    assert install_extra("codecs") in error.detail


LOSSLESS = compressed(ramp(16, 16), JPEGLosslessSV1)


def test_a_dcm_that_is_a_jpeg_is_read_as_one(tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(picture(Image.fromarray(smooth_picture()), "JPEG"))
    assert read(path).format == "jpeg"


@pytest.mark.parametrize("vr", VRS)
def test_an_element_of_any_type_and_length_ends_in_pixels_or_a_refusal(vr: bytes) -> None:
    """A header may give an element another type than the standard does, and a length that the type cannot have."""
    film = split_dicom(dicom(transfer_syntax=None))
    values = (b"", b"\1\0\2\0\3", b"ISO_IR 100", b"1.5\\2", b"\xff" * 7, b"\xfe\xff\0\xe0\xff\xff\xff\xff")
    for tag in (0x00080005, *WANTED):
        others = [part for part in film if part[0] != tag]
        for value in values:
            parts = sorted([*others, (tag, vr, value)])
            try:
                read(b"".join(element(*part) for part in parts))
            except ReadError as error:
                assert "\n" not in str(error)


def test_elements_of_odd_lengths_and_wrong_types_are_passed_over() -> None:
    """What is not needed to show a film is no reason to refuse it, however damaged."""
    film = split_dicom(dicom(transfer_syntax=None))
    for tag, vr, value in (
        (VIEW_CODE, b"US", b"\1\0\2\0\3"),
        (VIEW_CODE, b"UL", b"\1\0\2\0\3"),
        (VIEW_CODE, b"LO", b"399348003 "),
        (VOI_LUT, b"LO", b"a text"),
    ):
        data = b"".join(element(*part) for part in sorted([*film, (tag, vr, value)]))
        np.testing.assert_array_equal(read(data).pixels, read(dicom()).pixels)
    character_set = (0x00080005, b"UL", b"ISO_IR 100")  # pydicom goes by it in all that follows
    error = refusal(b"".join(element(*part) for part in sorted([*film, character_set])))
    assert error.reason is Reason.INCONSISTENT_HEADER


def test_deflated_garbage_and_truncation_are_typed_errors() -> None:
    whole = dicom(transfer_syntax=DeflatedExplicitVRLittleEndian)
    start = 144 + int.from_bytes(whole[140:144], "little")  # where the file meta group ends
    assert refusal(whole[: start + 8] + b"\xff" * 64).reason in (Reason.DAMAGED, Reason.TRUNCATED_PIXEL_DATA)


def test_every_chest_film_of_the_real_data_is_read(real_data: Path) -> None:
    films = [*(real_data / "rsna-mini").rglob("*.dcm"), *(real_data / "kermany-original").rglob("*.jpeg")]
    films += [path for path in (real_data / "dicom").glob("*.dcm") if "chrJap" not in path.name]
    assert len(films) == 73
    for path in films:
        pixels = read(path).pixels
        assert np.isfinite(pixels).all()
        assert pixels.min() >= 0
        assert pixels.max() <= 1
        assert pixels.std() > 0.05
