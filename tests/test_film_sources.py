"""A film may come as a path, bytes, a file, an array, a Pillow image or a pydicom Dataset, and is the same film."""

from __future__ import annotations

import io
import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from conftest import PYDICOM_DATA_FILES, PYDICOM_FILES
from films import CR_STORAGE, dicom, implicit_dicom, picture, ramp, smooth_picture
from numpy.typing import NDArray
from PIL import Image
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import RLELossless

from hilum import ReadError, Reason, read

GREY = smooth_picture()
BUNDLED = [*PYDICOM_FILES.glob("*.dcm"), *PYDICOM_DATA_FILES.glob("*.dcm")]


class Response(io.RawIOBase):
    """Bytes that come once and in small pieces, as from a server."""

    def __init__(self, content: bytes) -> None:
        self.content = io.BytesIO(content)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        piece = self.content.read(min(len(buffer), 1000))
        buffer[: len(piece)] = piece
        return len(piece)


@pytest.mark.parametrize("content", [picture(Image.fromarray(GREY), "PNG"), dicom()], ids=["png", "dicom"])
def test_paths_bytes_and_files_give_the_same(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(content)
    expected = read(path)
    with path.open("rb") as buffered, path.open("rb", buffering=0) as bare:
        sources = [str(path), content, bytearray(content), memoryview(content), io.BytesIO(content), buffered, bare]
        for source in [*sources, Response(content)]:
            film = read(source)  # type: ignore[arg-type]  # what is bytes to a user need not be to mypy
            np.testing.assert_array_equal(film.pixels, expected.pixels)
            assert film.describe() == expected.describe()
        assert not buffered.closed
        assert not bare.closed


def test_a_file_is_read_from_where_it_stands() -> None:
    file = io.BytesIO(b"before" + dicom())
    file.seek(6)
    np.testing.assert_array_equal(read(file).pixels, read(dicom()).pixels)


@pytest.mark.parametrize("levels", [GREY, GREY.astype(np.uint16) * 257], ids=["8 bits", "16 bits"])
def test_an_array_is_the_film_that_a_png_of_it_is(levels: NDArray[Any]) -> None:
    film = read(levels)
    np.testing.assert_array_equal(film.pixels, read(picture(Image.fromarray(levels), "PNG")).pixels)
    assert (film.format, film.mode, film.height, film.width) == ("array", str(levels.dtype), 40, 60)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_unsigned_integers_run_over_their_types_whole_range(dtype: type, order: Literal["<", ">"]) -> None:
    most = np.iinfo(dtype).max
    array = np.array([[0, most // 2], [most // 4, most]], np.dtype(dtype).newbyteorder(order))
    np.testing.assert_allclose(read(array).pixels, [[0, 0.5], [0.25, 1]], atol=0.005)


def test_bits_say_which_part_of_the_range_is_used() -> None:
    levels = ramp(highest=4095)
    np.testing.assert_allclose(read(levels, bits=12).pixels, levels / 4095, atol=1e-6)
    np.testing.assert_array_equal(read(levels.astype(np.int16), bits=12).pixels, read(levels, bits=12).pixels)
    film = read(levels)  # nobody said so: dark, and with a word on it
    np.testing.assert_allclose(film.pixels, levels / 65535, atol=1e-6)
    assert [(warning.code, "bits=12" in warning.detail) for warning in film.warnings] == [("shallow_levels", True)]
    assert read(levels, bits=12).warnings == ()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_floats_run_from_0_to_1(dtype: type) -> None:
    array: NDArray[Any] = (GREY / 255).astype(dtype)[::-1, ::2]
    film = read(array)
    np.testing.assert_allclose(film.pixels, array, atol=1e-6)
    assert film.pixels.dtype == np.float32
    assert film.pixels.flags.c_contiguous


def test_a_film_is_no_view_of_the_callers_array() -> None:
    array = np.full((10, 10), 0.5, np.float32)
    film = read(array)
    array[:] = 0
    assert film.pixels.min() == 0.5


def test_color_arrays_become_grey_as_color_files_do() -> None:
    color = np.zeros((40, 60, 3), np.uint8)
    color[:, :30], color[:, 30:] = (200, 40, 10), (10, 90, 220)
    film, file = read(color), read(picture(Image.fromarray(color), "PNG"))
    np.testing.assert_array_equal(film.pixels, file.pixels)
    assert film.colorfulness == file.colorfulness
    np.testing.assert_array_equal(read(GREY[..., None]).pixels, read(GREY).pixels)


@pytest.mark.parametrize(
    ("array", "bits", "error", "words"),
    [
        (np.zeros((4, 4), np.int16), None, TypeError, "bits="),
        (np.zeros((4, 4), bool), None, TypeError, "bool"),
        (np.zeros((4, 4), complex), None, TypeError, "complex"),
        (np.array([["a", "b"]]), None, TypeError, "no film"),
        (np.array([[None, {}]]), None, TypeError, "object"),
        (np.zeros((4, 4)), 8, TypeError, "floats"),
        (np.zeros((4, 4), np.uint8), 12, ValueError, "1 to 8"),
        (np.zeros((4, 4), np.uint8), 0, ValueError, "1 to 8"),
        (np.zeros(16, np.uint8), None, ReadError, r"\(16,\)"),
        (np.zeros((2, 4, 4), np.uint8), None, ReadError, r"\(2, 4, 4\)"),
        (np.zeros((4, 4, 4), np.uint8), None, ReadError, "red, green and blue"),
        (np.zeros((4, 4, 3), np.float32), None, ReadError, "red, green and blue"),
        (np.zeros((0, 4), np.uint8), None, ReadError, "no pixels"),
        (np.full((4, 4), 255.0), None, ReadError, "255"),
        (np.full((4, 4), -0.1), None, ReadError, "-0.1"),
        (np.full((4, 4), np.nan), None, ReadError, "nan"),
        (np.full((4, 4), np.inf), None, ReadError, "inf"),
        (np.full((4, 4), 4096, np.uint16), 12, ReadError, "4096"),
        (np.full((4, 4), -1, np.int16), 12, ReadError, "-1"),
    ],
)
def test_an_array_that_is_no_film_is_refused_in_one_line(
    array: NDArray[Any], bits: int | None, error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words) as caught:
        read(array, bits=bits)
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, (TypeError, ValueError))


def test_the_limit_holds_for_what_is_in_memory_too() -> None:
    sources: list[Any] = [GREY, Image.fromarray(GREY), dcmread(io.BytesIO(dicom(GREY)))]
    for source in sources:
        with pytest.raises(ReadError) as caught:
            read(source, max_megapixels=0.001)
        assert caught.value.reason is Reason.TOO_LARGE


@pytest.mark.parametrize("source", [None, 7, [1, 2], {"film": 1}, io.StringIO("text"), object(), type])
def test_what_holds_no_film_is_a_type_error_in_one_line(source: Any) -> None:
    with pytest.raises(TypeError, match="pydicom Dataset") as caught:
        read(source)
    assert "\n" not in str(caught.value)


def test_bits_are_for_arrays() -> None:
    with pytest.raises(TypeError, match="bits"):
        read(picture(Image.fromarray(GREY), "PNG"), bits=8)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV"])
def test_a_pillow_image_of_any_mode_is_read_as_its_grey_levels(mode: str) -> None:
    levels = np.where(GREY > 128, 255, 0).astype(np.uint8) if mode == "1" else GREY
    image = Image.fromarray(levels)
    image = image if mode in ("LA", "P") else image.convert("RGB")
    film = read(image.convert(mode))
    np.testing.assert_allclose(film.pixels, levels / 255, atol=2 / 255)
    assert (film.format, film.mode) == ("image", mode)


def test_deep_pillow_images_are_read_as_their_png_is() -> None:
    for levels in (GREY.astype(np.uint16) * 257, ramp()):
        image = Image.fromarray(levels)
        expected = read(picture(image, "PNG")).pixels
        np.testing.assert_array_equal(read(image).pixels, expected)
        np.testing.assert_array_equal(read(Image.fromarray(levels.astype(np.int32))).pixels, expected)
    np.testing.assert_allclose(read(Image.fromarray((GREY / 255).astype(np.float32))).pixels, GREY / 255, atol=1e-6)


@pytest.mark.parametrize("code", range(1, 9))
def test_an_opened_picture_is_the_film_that_its_file_is(code: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = code
    data = picture(Image.fromarray(GREY), "JPEG", exif=exif)
    film, file = read(Image.open(io.BytesIO(data))), read(data)
    np.testing.assert_array_equal(film.pixels, file.pixels)
    assert (film.turn, film.height, film.width) == (code, file.height, file.width)


def test_pillow_images_that_are_no_film_are_refused() -> None:
    stream = io.BytesIO()
    Image.fromarray(GREY).save(stream, "GIF", save_all=True, append_images=[Image.fromarray(GREY[::-1])])
    noise = np.random.default_rng(0).integers(0, 255, (80, 80), np.uint8)
    cut = picture(Image.fromarray(noise), "JPEG")[:2000]
    wrong = {
        Reason.MULTI_FRAME: Image.open(io.BytesIO(stream.getvalue())),
        Reason.DAMAGED: Image.open(io.BytesIO(cut)),
        Reason.UNSUPPORTED_ENCODING: Image.new("LAB", (8, 8)),
        Reason.OUT_OF_RANGE: Image.fromarray(np.full((4, 4), 70_000, np.int32)),
        Reason.INCONSISTENT_HEADER: Image.new("L", (0, 8)),
    }
    for reason, image in wrong.items():
        with pytest.raises(ReadError) as caught:
            read(image)
        assert caught.value.reason is reason


@pytest.mark.parametrize("path", BUNDLED, ids=lambda path: path.name)
@pytest.mark.parametrize("decoded", [False, True], ids=["raw", "decoded"])
def test_a_dataset_is_the_film_that_its_file_is(path: Path, decoded: bool) -> None:
    """Every file of pydicom's test packages: the same pixels and facts, or the same refusal."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = dcmread(path, force=True)
            if not len(dataset):
                pytest.skip("pydicom finds no elements in the damaged file")
            if decoded:  # as after a program looked through it
                dataset.decode()
                list(dataset.iterall())
        except Exception:  # whatever pydicom itself cannot open is no Dataset
            pytest.skip("pydicom cannot read the file")
    try:
        expected = read(path)
    except ReadError as error:
        with pytest.raises(ReadError) as caught:
            read(dataset)
        assert caught.value.reason is error.reason
        return
    film = read(dataset)
    np.testing.assert_array_equal(film.pixels, expected.pixels)
    assert film.describe() == expected.describe()


def test_a_dataset_compressed_in_memory_is_the_same_film() -> None:
    """Its elements were read in another encoding than the one its pixels have now."""
    data = implicit_dicom(ramp(), WindowCenter=2000, WindowWidth=3000, PixelPaddingValue=0)
    dataset = dcmread(io.BytesIO(data))
    dataset.compress(RLELossless, generate_instance_uid=False)
    np.testing.assert_array_equal(read(dataset).pixels, read(data).pixels)


def test_a_dataset_put_together_by_a_program_is_a_film() -> None:
    dataset: Any = Dataset()
    dataset.SOPClassUID = CR_STORAGE
    dataset.Rows, dataset.Columns = 12, 16
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 16, 16, 15, 0
    dataset.PixelPaddingValue = 0
    dataset.PixelData = ramp().tobytes()
    np.testing.assert_array_equal(read(dataset).pixels, read(dicom(PixelPaddingValue=0)).pixels)


def test_datasets_that_are_no_film_are_refused_as_files_are() -> None:
    def changed(**elements: Any) -> Dataset:
        dataset = dcmread(io.BytesIO(dicom()))
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        return dataset

    wrong = [
        (Dataset(), Reason.NOT_AN_IMAGE),
        (changed(Rows=60_000, Columns=60_000), Reason.TOO_LARGE),
        (changed(Rows=13), Reason.TRUNCATED_PIXEL_DATA),
        (changed(NumberOfFrames=7), Reason.MULTI_FRAME),
        (changed(PixelData=None), Reason.INCONSISTENT_HEADER),
        (changed(PixelData=b""), Reason.TRUNCATED_PIXEL_DATA),
    ]
    odd = changed()
    odd["Rows"]._value = "Doe"
    for dataset, reason in [*wrong, (odd, Reason.INCONSISTENT_HEADER)]:
        with pytest.raises(ReadError) as caught:
            read(dataset)
        assert caught.value.reason is reason
        assert "Doe" not in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_dataset_keeps_the_facts_of_its_file() -> None:
    data = implicit_dicom(ramp(), ViewPosition="LL", PatientAge="006M")
    film = read(dcmread(io.BytesIO(data)))
    assert (film.view, film.lateral, film.age) == ("LL", True, 0.5)


@pytest.mark.parametrize(
    ("stated", "years"),
    [
        ("045Y", 45),
        ("006M", 0.5),
        ("012W", 12 * 7 / 365.25),
        ("003D", 3 / 365.25),
        ("000Y", 0),
        ("45Y", None),
        ("045", None),
        ("999Y", None),
        ("-45Y", None),
        ("04 Y", None),
        ("", None),
    ],
)
def test_the_patients_age_is_a_number_of_years_or_unknown(stated: str, years: float | None) -> None:
    with warnings.catch_warnings():  # pydicom warns while writing what hilum has to cope with
        warnings.simplefilter("ignore")
        film = read(dicom(PatientAge=stated))
    assert film.age == (None if years is None else pytest.approx(years))
    assert pickle.loads(pickle.dumps(film)).age == film.age


def test_the_patients_age_is_shown_nowhere(tmp_path: Path) -> None:
    film = read(dicom(PatientAge="077Y"))
    assert film.age == 77
    assert "77" not in repr(film).replace(repr(film.pixels), "") + str(film.describe())
    assert "age" not in film.describe()
    for content in (dicom(PatientAge="077Y", Rows=13), dicom(PatientAge="077Y", without=("PixelData",))):
        with pytest.raises(ReadError) as caught:
            read(content)
        assert "77" not in str(caught.value) + repr(caught.value)
    assert read(picture(Image.fromarray(GREY), "PNG")).age is None


@pytest.mark.parametrize(
    ("view", "lateral"),
    [("LL", True), ("RL", True), ("LATERAL", True), ("PA", False), ("AP", False), ("LLD", False), ("RLD", False)],
)
def test_whether_the_view_is_from_the_side(view: str, lateral: bool) -> None:
    assert read(dicom(ViewPosition=view)).lateral is lateral


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(ReadError, match="a pipe or a device") as caught:
        read(pipe)
    assert caught.value.reason is Reason.NOT_AN_IMAGE
    assert str(pipe) in str(caught.value)
    # one that is being written to is no film either, and what is in it is left for whoever should read it
    link = tmp_path / "link.png"
    link.symlink_to(pipe)
    both_ends = os.open(pipe, os.O_RDWR)  # which waits for nobody
    try:
        os.write(both_ends, b"a film")
        with pytest.raises(ReadError, match="a pipe or a device"):
            read(link)
        assert os.read(both_ends, 100) == b"a film"
    finally:
        os.close(both_ends)


def test_devices_and_folders_are_no_films(tmp_path: Path) -> None:
    with pytest.raises(ReadError, match="a pipe or a device"):
        read("/dev/zero")
    with pytest.raises(IsADirectoryError):
        read(tmp_path)


def test_reading_loads_neither_pillow_nor_pydicom_before_a_film_needs_them() -> None:
    code = "import sys, hilum.radiograph; print(*{'PIL', 'pydicom'} & {*sys.modules})"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout.split() == []


def test_a_notebook_shows_the_film() -> None:
    film = read(np.linspace(0, 1, 900 * 1600, dtype=np.float32).reshape(900, 1600))
    with Image.open(io.BytesIO(film._repr_png_())) as shown:
        assert (shown.format, shown.mode, shown.size) == ("PNG", "L", (640, 360))
        assert np.asarray(shown)[-1, -1] == 255
