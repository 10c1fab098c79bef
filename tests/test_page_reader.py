"""The page's reader gives the pixels of `hilum.read`, and its reasons where there are none."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import PYDICOM_DATA_FILES
from films import dicom
from numpy.typing import NDArray
from page_reader import PageReader, mutant
from PIL import Image
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRBigEndian, ImplicitVRLittleEndian

import hilum
from hilum.radiograph.geometry import Geometry

SQUASH = Geometry("squash", 96, 96)
RNG = np.random.default_rng(1)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PageReader:
    return PageReader(tmp_path_factory.mktemp("reader"))


def waves(rows: int = 211, columns: int = 307) -> NDArray[np.float64]:
    """A picture of many grey levels, from 0 to 1, that is neither smooth nor noise."""
    y, x = np.mgrid[:rows, :columns]
    shape: NDArray[np.float64] = np.sin(x / 13) * 0.25 + np.cos(y / 17) * 0.25 + 0.5
    return np.clip(shape + RNG.normal(0, 0.02, shape.shape), 0, 1)


WAVES = waves()
GREY = np.rint(WAVES * 255).astype(np.uint8)
DEEP = np.rint(WAVES * 4095).astype(np.uint16)


def saved(picture: Image.Image, kind: str, **how: Any) -> bytes:
    content = BytesIO()
    picture.save(content, kind, **how)
    return content.getvalue()


def turned(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = turn
    return exif


def packed_png(depth: int, interlaced: bool = False) -> bytes:
    """A grey PNG of few bits, which Pillow does not write, or of interlaced lines."""
    levels = (GREY.astype(np.uint16) * 257 >> (16 - depth)).astype(np.uint16)
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = b"".join(
        b"\0" + line
        for x, y, across, down in (passes if interlaced else [(0, 0, 1, 1)])
        for line in packed(levels[y::down, x::across], depth)
    )
    height, width = GREY.shape
    header = struct.pack(">IIBBBBB", width, height, depth, 0, 0, 0, interlaced)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b""))
    framed = (
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


def packed(levels: NDArray[np.uint16], depth: int) -> list[bytes]:
    bits = (levels[:, :, None] >> np.arange(depth - 1, -1, -1, dtype=np.uint16)) & 1
    return [np.packbits(line).tobytes() for line in bits.reshape(len(levels), -1).astype(np.uint8)]


def color(*channels: NDArray[np.uint8]) -> Image.Image:
    return Image.fromarray(np.stack(channels, 2))


PICTURES = {
    **{f"{depth} bits.png": packed_png(depth) for depth in (1, 2, 4, 8, 16)},
    **{f"interlaced, {depth} bits.png": packed_png(depth, True) for depth in (1, 2, 4, 8, 16)},
    "12 bits in 16.png": saved(Image.fromarray(DEEP), "PNG"),
    "color.png": saved(color(GREY, GREY // 2, GREY // 3), "PNG"),
    "stamped grey.png": saved(color(GREY, GREY, np.where(GREY > 240, 0, GREY).astype(np.uint8)), "PNG"),
    "transparent.png": saved(color(GREY, GREY, GREY, 255 - GREY // 4), "PNG"),
    "grey, transparent.png": saved(color(GREY, 255 - GREY // 8), "PNG"),
    "palette.png": saved(Image.fromarray(GREY).quantize(17), "PNG"),
    "palette, transparent.png": saved(color(GREY, GREY // 2, GREY).quantize(40), "PNG", transparency=3),
    "color key.png": saved(color(GREY, GREY, GREY), "PNG", transparency=(100, 100, 100)),
    **{f"turn {turn}.png": saved(Image.fromarray(GREY[:, :240]), "PNG", exif=turned(turn)) for turn in range(1, 9)},
    "full size.jpg": saved(Image.fromarray(GREY[:180, :180]), "JPEG", quality=95),
    "turned.jpg": saved(Image.fromarray(GREY[:180, :180]), "JPEG", exif=turned(6)),
}
NATIVE: dict[str, bytes] = {
    "12 bits.dcm": dicom(DEEP, BitsStored=12),
    "8 bits.dcm": dicom(GREY),
    "signed.dcm": dicom(DEEP.astype(np.int16) - 2000, BitsStored=13),
    "inverted.dcm": dicom(DEEP, BitsStored=12, PhotometricInterpretation="MONOCHROME1"),
    "implicit.dcm": dicom(DEEP, transfer_syntax=ImplicitVRLittleEndian, BitsStored=12),
    "big endian.dcm": dicom(DEEP, transfer_syntax=ExplicitVRBigEndian, BitsStored=12),
    "deflated.dcm": dicom(DEEP, transfer_syntax=DeflatedExplicitVRLittleEndian, BitsStored=12),
    "no syntax.dcm": dicom(DEEP, transfer_syntax=None, BitsStored=12),
    "window.dcm": dicom(DEEP, BitsStored=12, WindowCenter=1800, WindowWidth=2000),
    "exact window.dcm": dicom(DEEP, BitsStored=12, WindowCenter=9, WindowWidth=3000, VOILUTFunction="LINEAR_EXACT"),
    "sigmoid.dcm": dicom(DEEP, BitsStored=12, WindowCenter=1800, WindowWidth=1500, VOILUTFunction="SIGMOID"),
    "no window.dcm": dicom(DEEP, BitsStored=12, WindowCenter=90000, WindowWidth=2),
    "rescaled.dcm": dicom(
        DEEP, BitsStored=12, RescaleSlope=2, RescaleIntercept=-1024, WindowCenter=2000, WindowWidth=4000
    ),
    "padded.dcm": dicom(np.where(GREY < 30, 4095, DEEP).astype(np.uint16), BitsStored=12, PixelPaddingValue=4095),
    "turned.dcm": dicom(DEEP[:, :240], BitsStored=12, PatientOrientation=["A", "H"]),
    "lateral.dcm": dicom(DEEP, BitsStored=12, ViewPosition="LL"),
    "color.dcm": dicom(np.stack([GREY, GREY, GREY], 2)),
    "cut short.dcm": dicom(DEEP, BitsStored=12)[:-500],
    "contradiction.dcm": dicom(DEEP, BitsStored=17),
    "frames.dcm": dicom(DEEP, BitsStored=12, NumberOfFrames=3),
}
REFUSED = {
    "empty": b"",
    "letter.txt": b"Dear colleague,\n",
    "picture.gif": b"GIF89a and so on",
    "cut short.png": packed_png(8)[:-9000],
    "cut short.jpg": saved(Image.fromarray(GREY), "JPEG")[:-4000],
    "half a header.dcm": dicom(DEEP, BitsStored=12)[:300],
}
ENCODED = (
    "RG1_J2KR",
    "RG3_J2KI",
    "RG1_UNCR",
    "JPGLosslessP14SV1_1s_1f_8b",
    "JPEG-LL",
    "mlut_18",
    "vlut_04",
    "MR2_J2KR",
)


def compared(reader: PageReader, films: dict[str, bytes], folder: Path, geometry: Geometry) -> None:
    """Each film alike in both: its levels, and all that is known of it; or refused for one reason."""
    paths = []
    for name, content in films.items():
        (folder / name).write_bytes(content)
        paths.append(folder / name)
    for path, found in zip(paths, reader.read(paths, geometry), strict=True):
        try:
            film = hilum.read(path, at_least=geometry.at_least)
        except hilum.ReadError as error:
            assert found.get("reason") == str(error.reason), path.name
            continue
        assert "reason" not in found, (path.name, found)
        assert np.array_equal(geometry.apply(film.pixels), found["levels"]), path.name
        known = (film.height, film.width, film.turn, film.bits, film.lateral)
        assert known == tuple(found[key] for key in ("fullHeight", "fullWidth", "turn", "bits", "lateral")), path.name
        assert [warning._asdict() for warning in film.warnings] == found["warnings"], path.name
        assert found["colorfulness"] == pytest.approx(film.colorfulness, abs=1e-4), path.name
        assert found["spread"] == pytest.approx(float(film.pixels.std()), abs=1e-3), path.name


def test_pictures_of_every_kind_become_the_same_levels(reader: PageReader, tmp_path: Path) -> None:
    compared(reader, PICTURES, tmp_path, SQUASH)


@pytest.mark.parametrize(
    "geometry", [Geometry("fit", 96, 128), Geometry("crop", 64, 96, 0.8), Geometry("squash", 32, 300)]
)
def test_films_are_placed_as_python_places_them(reader: PageReader, tmp_path: Path, geometry: Geometry) -> None:
    shapes = ((211, 307), (300, 100), (90, 400), (1200, 900), (500, 220))
    films = {
        f"{rows} x {columns}.png": saved(Image.fromarray(np.rint(waves(rows, columns) * 255).astype(np.uint8)), "PNG")
        for rows, columns in shapes
    }
    compared(reader, films, tmp_path, geometry)


def test_dicom_is_shown_as_its_grayscale_pipeline_says(reader: PageReader, tmp_path: Path) -> None:
    compared(reader, NATIVE, tmp_path, SQUASH)


def test_compressed_dicom_is_decoded_to_the_same_values(reader: PageReader, tmp_path: Path) -> None:
    films = {f"{name}.dcm": (PYDICOM_DATA_FILES / f"{name}.dcm").read_bytes() for name in ENCODED}
    compared(reader, films, tmp_path, SQUASH)


def test_a_jpeg_that_python_decodes_smaller_is_made_as_small(reader: PageReader, tmp_path: Path) -> None:
    ways: dict[str, dict[str, Any]] = {"plain": {}, "progressive": {"progressive": True}}
    ways["with restarts"] = {"restart_marker_rows": 1}
    films = {}
    for height, width in ((210, 260), (390, 500), (800, 1001)):
        levels = np.rint(waves(height, width) * 255).astype(np.uint8)
        for name, how in ways.items():
            films[f"{height}, {name}.jpg"] = saved(Image.fromarray(levels), "JPEG", quality=90, **how)
        films[f"{height}, grey in color.jpg"] = saved(color(levels, levels, levels), "JPEG", quality=90)
    compared(reader, films, tmp_path, SQUASH)


def test_what_is_no_film_has_the_reasons_of_python(reader: PageReader, tmp_path: Path) -> None:
    compared(reader, REFUSED, tmp_path, SQUASH)


def test_damaged_films_end_in_a_film_or_a_reason(reader: PageReader, tmp_path: Path) -> None:
    """Whatever is wrong with a file, the reader goes on to the next one; tests/fuzz_page.py tries thousands."""
    rng = np.random.default_rng(5)
    seeds = [
        PICTURES["8 bits.png"],
        PICTURES["full size.jpg"],
        NATIVE["window.dcm"],
        *(
            (PYDICOM_DATA_FILES / f"{name}.dcm").read_bytes()
            for name in ("JPEG-LL", "MR2_J2KR", "JPGLosslessP14SV1_1s_1f_8b")
        ),
    ]
    paths = []
    for number in range(36):
        path = tmp_path / f"{number}"
        path.write_bytes(mutant(seeds[number % len(seeds)], rng))
        paths.append(path)
    assert all("levels" in film or film["reason"] in set(hilum.Reason) for film in reader.read(paths, SQUASH))
