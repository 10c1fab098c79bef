"""JPEG and PNG files become radiographs, whatever their color mode, depth, orientation or name."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from films import picture, png_chunk, smooth_picture
from PIL import Image, ImageOps

from hilum import ReadError, Reason, read

GREY = smooth_picture()


def test_grey_png_is_exact() -> None:
    film = read(picture(Image.fromarray(GREY), "PNG"))
    assert film.pixels.dtype == np.float32
    assert film.pixels.flags.c_contiguous
    np.testing.assert_allclose(film.pixels, GREY / 255, atol=1e-6)
    assert (film.format, film.mode, film.bits, film.height, film.width) == ("png", "L", 8, 40, 60)
    assert film.warnings == ()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "LA", "1"])
def test_every_png_mode_of_a_grey_picture_reads_as_its_grey_levels(mode: str) -> None:
    levels = np.where(GREY > 128, 255, 0).astype(np.uint8) if mode == "1" else GREY
    film = read(picture(Image.fromarray(levels).convert(mode), "PNG"))
    np.testing.assert_allclose(film.pixels, levels / 255, atol=1.5 / 255)
    assert film.colorfulness < 0.01


def test_sixteen_bit_png_is_scaled_and_not_saturated() -> None:
    levels = (GREY.astype(np.uint16) * 257)[::-1]
    film = read(picture(Image.fromarray(levels), "PNG"))
    np.testing.assert_allclose(film.pixels, levels / 65535, atol=1e-6)
    assert film.bits == 16


def test_twelve_bits_in_a_sixteen_bit_png_fill_the_range_and_say_so() -> None:
    levels = GREY.astype(np.uint16) * 16
    film = read(picture(Image.fromarray(levels), "PNG"))
    np.testing.assert_allclose(film.pixels, levels / 4095, atol=1e-6)
    assert [warning.code for warning in film.warnings] == ["shallow_levels"]


def test_transparent_parts_are_black() -> None:
    alpha = np.full_like(GREY, 255)
    alpha[:, :10] = 0
    image = Image.merge("LA", (Image.fromarray(GREY), Image.fromarray(alpha)))
    film = read(picture(image, "PNG"))
    assert film.pixels[:, :10].max() == 0
    np.testing.assert_allclose(film.pixels[:, 10:], GREY[:, 10:] / 255, atol=1e-6)


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"])
@pytest.mark.parametrize("progressive", [False, True])
def test_every_jpeg_mode_of_a_grey_picture_reads_as_its_grey_levels(mode: str, progressive: bool) -> None:
    data = picture(Image.fromarray(GREY).convert("RGB").convert(mode), "JPEG", quality=98, progressive=progressive)
    film = read(data)
    np.testing.assert_allclose(film.pixels, GREY / 255, atol=4 / 255)
    assert film.mode == mode
    assert film.encoding == ("JPEG progressive" if progressive else "JPEG baseline")


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_strong_color_is_a_warning_and_grey_is_luma(kind: str) -> None:
    color = np.zeros((40, 60, 3), np.uint8)
    color[:, :30], color[:, 30:] = (200, 40, 10), (10, 90, 220)
    film = read(picture(Image.fromarray(color), kind))
    luma = color @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(film.pixels[5:-5, 5:20], luma[5:-5, 5:20], atol=0.02)
    assert "strongly_colored" in [warning.code for warning in film.warnings]
    assert film.colorfulness > 0.5


@pytest.mark.parametrize("code", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
def test_exif_orientation_is_applied(kind: str, code: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = code
    image = Image.fromarray(GREY)
    data = picture(image, kind, exif=exif, **({"quality": 98} if kind == "JPEG" else {}))
    # Pillow's own transposition is the independent reference
    expected = np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))))
    film = read(data)
    assert (film.height, film.width) == film.pixels.shape == expected.shape
    np.testing.assert_allclose(film.pixels, expected / 255, atol=1e-6)
    assert film.turn == code


@pytest.mark.parametrize("size", [(1000, 700), (333, 517)])
def test_at_least_gives_a_smaller_picture_of_the_same_film(size: tuple[int, int]) -> None:
    full = smooth_picture(*size)
    data = picture(Image.fromarray(full), "JPEG", quality=95)
    film = read(data, at_least=100)
    assert min(film.pixels.shape) >= 100
    assert max(film.pixels.shape) <= max(size) / 2 + 1
    assert (film.height, film.width) == size
    small = Image.fromarray(full).resize(film.pixels.shape[::-1], Image.Resampling.BOX)
    np.testing.assert_allclose(film.pixels, np.asarray(small) / 255, atol=0.02)


def test_at_least_never_enlarges() -> None:
    assert read(picture(Image.fromarray(GREY), "JPEG"), at_least=500).pixels.shape == GREY.shape


def test_the_content_decides_and_not_the_name(tmp_path: Path) -> None:
    for name, kind in (("film.dcm", "JPEG"), ("film.jpg", "PNG"), ("film", "JPEG")):
        path = tmp_path / name
        path.write_bytes(picture(Image.fromarray(GREY), kind))
        assert read(path).format == kind.lower()


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.3, 0.6, 0.95])
def test_truncated_files_say_so(kind: str, share: float) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (80, 80), np.uint8)
    data = picture(Image.fromarray(noise), kind)
    with pytest.raises(ReadError) as caught:
        read(data[: int(len(data) * share)])
    assert caught.value.reason is Reason.TRUNCATED_PIXEL_DATA


def test_an_animated_png_is_refused_by_name() -> None:
    frames = [Image.fromarray(GREY), Image.fromarray(GREY[::-1])]
    with pytest.raises(ReadError) as caught:
        read(picture(frames[0], "PNG", save_all=True, append_images=frames[1:]))
    assert caught.value.reason is Reason.MULTI_FRAME


@pytest.mark.parametrize("control", [b"", bytes(4), bytes(8), b"\0\0\0\1" + bytes(4), b"\0\0\0\1" + bytes(40)])
@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("place", ["before the pixels", "behind them"])
def test_what_is_left_of_an_animation_changes_nothing(control: bytes, times: int, place: str) -> None:
    """A damaged animation of no more than one frame is a still picture to the standard; nothing warns or asserts."""
    still = picture(Image.fromarray(GREY), "PNG")
    at = 33 if place == "before the pixels" else still.index(b"IEND") - 4
    animation = png_chunk(b"acTL", control) + png_chunk(b"fcTL", bytes(26)) + png_chunk(b"fdAT", b"\0\0\0\1abc")
    film = read(still[:at] + animation * times + still[at:])
    np.testing.assert_array_equal(film.pixels, read(still).pixels)


@pytest.mark.parametrize(
    ("content", "reason", "words"),
    [
        (b"", Reason.EMPTY, "empty"),
        (b"patient,label\n1,normal\n", Reason.NOT_AN_IMAGE, "text"),
        (b"GIF89a" + bytes(300), Reason.UNSUPPORTED_ENCODING, "GIF"),
        (b"II*\0" + bytes(300), Reason.UNSUPPORTED_ENCODING, "TIFF"),
        (b"%PDF-1.7" + bytes(300), Reason.UNSUPPORTED_ENCODING, "PDF"),
        (b"PK\3\4" + bytes(300), Reason.NOT_AN_IMAGE, "zip"),
        (bytes(500), Reason.NOT_AN_IMAGE, "JPEG, PNG"),
        (b"\xff\xd8\xff", Reason.DAMAGED, "JPEG"),
        (b"\x89PNG\r\n\x1a\n", Reason.DAMAGED, "PNG"),
    ],
)
def test_what_is_no_film_is_named(content: bytes, reason: Reason, words: str, tmp_path: Path) -> None:
    path = tmp_path / "film.dcm"
    path.write_bytes(content)
    with pytest.raises(ReadError, match=words) as caught:
        read(path)
    assert caught.value.reason is reason
    assert str(caught.value).startswith(f"{path}: {reason}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_an_ordinary_os_error(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "absent.png")
