"""DICOM's grayscale pipeline, against pydicom's own processing and against values computed by hand."""

from __future__ import annotations

import math
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from conftest import PYDICOM_DATA_FILES
from films import dicom, implicit_dicom, ramp
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut, apply_windowing

from hilum import read


def lut_item(first: int, bits: int, entries: list[int]) -> Dataset:
    item = Dataset()
    item.add_new(0x00283002, "SS" if first < 0 else "US", [len(entries), first, bits])
    item.add_new(0x00283006, "US", entries)
    return item


def codes(data: bytes) -> list[str]:
    return [warning.code for warning in read(data).warnings]


def test_window_by_hand() -> None:
    # PS3.3 C.11.2.1.2.1: center 4, width 5 -> 0 below 2, 1 above 5, and (x - 3.5) / 4 + 0.5 between
    pixels = np.array([[0, 1, 2, 3, 4, 5, 6]], np.uint8)
    film = read(dicom(pixels, WindowCenter=4, WindowWidth=5))
    np.testing.assert_allclose(film.pixels[0], [0, 0, 0.125, 0.375, 0.625, 0.875, 1], atol=1e-6)


def test_linear_exact_by_hand() -> None:
    pixels = np.array([[0, 1, 2, 3, 4]], np.uint8)
    film = read(dicom(pixels, WindowCenter=2, WindowWidth=4, VOILUTFunction="LINEAR_EXACT"))
    np.testing.assert_allclose(film.pixels[0], [0, 0.25, 0.5, 0.75, 1], atol=1e-6)


def test_sigmoid_by_hand() -> None:
    pixels = np.array([[0, 2, 4]], np.uint8)
    film = read(dicom(pixels, WindowCenter=2, WindowWidth=4, VOILUTFunction="SIGMOID"))
    np.testing.assert_allclose(film.pixels[0], [1 / (1 + math.exp(2)), 0.5, 1 / (1 + math.exp(-2))], atol=1e-6)


def test_a_negative_slope_turns_the_order_of_values_around() -> None:
    pixels = np.array([[0, 1, 2]], np.uint8)
    film = read(dicom(pixels, RescaleSlope=-1, RescaleIntercept=2, WindowCenter=1, WindowWidth=3))
    np.testing.assert_allclose(film.pixels[0], [1, 0.75, 0.25], atol=1e-6)


def test_a_window_of_width_one_is_a_threshold() -> None:
    film = read(dicom(np.array([[1, 2, 3, 4]], np.uint8), WindowCenter=3, WindowWidth=1))
    np.testing.assert_array_equal(film.pixels[0], [0, 0, 1, 1])


@given(
    function=st.sampled_from(["LINEAR", "LINEAR_EXACT", "SIGMOID"]),
    center=st.floats(-2000, 5000),
    width=st.floats(1.5, 8000),
    slope=st.sampled_from([1.0, 0.5, 2.0]),
    intercept=st.sampled_from([0.0, -1024.0, 100.0]),
    signed=st.booleans(),
)
def test_windows_agree_with_pydicom(
    function: str, center: float, width: float, slope: float, intercept: float, signed: bool
) -> None:
    pixels: NDArray[np.generic] = ramp().astype(np.int16) - 2000 if signed else ramp()
    center, width = round(center, 3), round(width, 3)
    data = dicom(
        pixels,
        WindowCenter=center,
        WindowWidth=width,
        VOILUTFunction=function,
        RescaleSlope=slope,
        RescaleIntercept=intercept,
        BitsStored=16,
    )
    header = dcmread(BytesIO(data))
    with np.errstate(over="ignore"):  # pydicom's sigmoid overflows far below its center
        values = apply_windowing(apply_modality_lut(header.pixel_array, header), header)
    # pydicom maps onto the range that the stored bits span after the modality transform
    low, high = (bound * slope + intercept for bound in ((-32768, 32767) if signed else (0, 65535)))
    expected = (values - low) / (high - low)
    if expected.max() - expected.min() < 1e-6:  # hilum stretches a film that its window turns into one grey level
        return
    np.testing.assert_allclose(read(data).pixels, expected, atol=2e-5)


@pytest.mark.parametrize("name", ["mlut_18.dcm", "vlut_04.dcm"])
def test_lookup_tables_of_real_files_agree_with_pydicom(name: str) -> None:
    path = PYDICOM_DATA_FILES / name
    header = dcmread(path)
    expected = apply_voi_lut(apply_modality_lut(header.pixel_array, header), header).astype(np.float64)
    film = read(path)
    if "VOILUTSequence" in header:
        bits = header.VOILUTSequence[0].LUTDescriptor[2]
        np.testing.assert_allclose(film.pixels, expected / (2**bits - 1), atol=1e-6)
    else:  # no VOI: the modality LUT's output, stretched
        low, high = np.percentile(expected, [0.5, 99.5], method="inverted_cdf")
        np.testing.assert_allclose(film.pixels, np.clip((expected - low) / (high - low), 0, 1), atol=2e-3)


def test_a_lookup_table_by_hand() -> None:
    pixels = np.array([[0, 1, 2, 3, 4, 200]], np.uint8)
    film = read(dicom(pixels, VOILUTSequence=[lut_item(2, 8, [0, 51, 255])], WindowCenter=1, WindowWidth=2))
    np.testing.assert_allclose(film.pixels[0], [0, 0, 0, 0.2, 1, 1], atol=1e-6)  # the table outranks the window


def test_modality_table_then_window_then_inversion() -> None:
    pixels = np.array([[0, 1, 2, 3]], np.uint8)
    film = read(
        dicom(
            pixels,
            ModalityLUTSequence=[lut_item(0, 16, [0, 10, 30, 100])],
            WindowCenter=50,
            WindowWidth=100,
            VOILUTFunction="LINEAR_EXACT",
            PhotometricInterpretation="MONOCHROME1",
        )
    )
    np.testing.assert_allclose(film.pixels[0], [1, 0.9, 0.7, 0], atol=1e-6)


def test_a_table_of_twelve_bits_that_declares_sixteen_is_scaled_by_what_it_holds() -> None:
    film = read(dicom(np.array([[0, 1]], np.uint8), VOILUTSequence=[lut_item(0, 16, [0, 4095])]))
    np.testing.assert_allclose(film.pixels[0], [0, 1])


def test_a_damaged_table_is_ignored_with_a_warning() -> None:
    item = lut_item(0, 16, [0, 1, 2])
    item.LUTDescriptor = [300, 0, 16]
    assert codes(dicom(VOILUTSequence=[item], WindowCenter=2000, WindowWidth=4000)) == ["lut_ignored"]


def test_monochrome1_is_the_inverse_of_its_monochrome2_twin() -> None:
    pixels = ramp()
    twin = 4095 - pixels
    window: dict[str, Any] = {"WindowCenter": 2047.5 + 0.5, "WindowWidth": 4096, "BitsStored": 12}
    first = read(dicom(twin, PhotometricInterpretation="MONOCHROME1", **window))
    second = read(dicom(pixels, **window))
    np.testing.assert_allclose(first.pixels, second.pixels, atol=1e-6)


def test_no_window_is_a_percentile_stretch_that_ignores_padding() -> None:
    pixels = ramp(40, 50, 1000) + 500
    pixels[:10] = 60000
    film = read(dicom(pixels, PixelPaddingValue=60000))
    rest = pixels[10:].astype(float)
    low, high = np.percentile(rest, [0.5, 99.5], method="inverted_cdf")
    np.testing.assert_allclose(film.pixels[10:], np.clip((rest - low) / (high - low), 0, 1), atol=0.002)


def test_a_constant_film_is_black_and_has_no_nan() -> None:
    assert read(dicom(np.full((8, 8), 77, np.uint16))).pixels.max() == 0


def test_the_first_of_several_windows_counts() -> None:
    pixels = np.array([[0, 50, 100]], np.uint8)
    film = read(dicom(pixels, WindowCenter=[50, 5], WindowWidth=[100, 1], VOILUTFunction="LINEAR_EXACT"))
    np.testing.assert_allclose(film.pixels[0], [0, 0.5, 1])


@pytest.mark.parametrize(
    "window",
    [
        {"WindowCenter": 500, "WindowWidth": 0},
        {"WindowCenter": 500, "WindowWidth": -20},
        {"WindowCenter": 500},
        {"WindowWidth": 500},
        {"WindowCenter": 500, "WindowWidth": 0.5},
        {"WindowCenter": 99999, "WindowWidth": 2},
    ],
)
def test_an_unusable_window_falls_back_to_the_stretch_with_a_warning(window: dict[str, Any]) -> None:
    data = dicom(**window)
    np.testing.assert_array_equal(read(data).pixels, read(dicom()).pixels)
    assert codes(data) == ["window_ignored"]


@pytest.mark.parametrize("value", [b"NaN ", b"inf ", b"abc ", b"1e999 "])
def test_window_text_that_is_no_number_is_ignored_with_a_warning(value: bytes) -> None:
    data = dicom(WindowCenter=2000, WindowWidth=1234).replace(b"1234", value.ljust(4)[:4])
    assert codes(data) == ["window_ignored"]
    assert np.isfinite(read(data).pixels).all()


def test_rescale_that_is_no_number_is_ignored_with_a_warning() -> None:
    data = dicom(RescaleSlope=7777, RescaleIntercept=0).replace(b"7777", b"NaN ")
    assert codes(data) == ["rescale_ignored"]


def test_unused_high_bits_are_dropped_and_signs_extended() -> None:
    stored = np.array([[0x0FFF, 0x0800, 0x0000, 0x07FF, 0xF123]], np.uint16)  # -1, -2048, 0, 2047, 0x123 = 291
    data = implicit_dicom(
        stored,
        BitsStored=12,
        PixelRepresentation=1,
        WindowCenter=0,
        WindowWidth=4096,
        VOILUTFunction="LINEAR_EXACT",
    )
    expected = np.array([-1, -2048, 0, 2047, 291]) / 4096 + 0.5
    np.testing.assert_allclose(read(data).pixels[0], expected, atol=1e-6)
