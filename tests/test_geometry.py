"""Films of any size become pictures of one size, and boxes go there and back."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from hilum.radiograph.geometry import MODES, Geometry, Mode, parse_size

sides = st.integers(20, 400)
geometries = st.builds(Geometry, st.sampled_from(MODES), sides, sides, st.sampled_from([1.0, 0.875, 0.5]))
fractions = st.floats(0.0, 1.0)
boxes = st.lists(st.tuples(fractions, fractions, st.floats(0.01, 1.0), st.floats(0.01, 1.0)), min_size=1, max_size=5)


def test_squash_is_a_plain_resize() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (300, 400), np.uint8)
    expected = Image.fromarray(levels).resize((64, 96), Image.Resampling.BILINEAR)
    result = Geometry("squash", 96, 64).apply(np.asarray(levels / 255, np.float32))
    assert np.abs(result.astype(int) - np.asarray(expected)).mean() < 1.5


def test_crop_is_torchvisions_resize_then_center_crop() -> None:
    """Resize(255), CenterCrop(224): the shorter side becomes 255 and the middle 224 x 224 remain."""
    y, x = np.mgrid[:600, :900]
    levels = ((x + y) / 1500 * 255).astype(np.uint8)
    resized = Image.fromarray(levels).resize((round(900 * 255 / 600), 255), Image.Resampling.BILINEAR)
    left, top = (resized.width - 224) // 2, (255 - 224) // 2
    expected = np.asarray(resized.crop((left, top, left + 224, top + 224)))
    result = Geometry("crop", 224, 224, keep=224 / 255).apply(np.asarray(levels / 255, np.float32))
    assert np.abs(result.astype(int) - expected).max() <= 2


def test_fit_keeps_the_aspect_ratio_between_black_bars() -> None:
    result = Geometry("fit", 100, 100).apply(np.full((50, 200), 1, np.float32))
    assert (result[:37] == 0).all()
    assert (result[38:62] == 255).all()
    assert (result[63:] == 0).all()


def test_keep_looks_at_the_middle() -> None:
    pixels = np.zeros((100, 100), np.float32)
    pixels[25:75, 25:75] = 1
    assert (Geometry("squash", 20, 20, keep=0.5).apply(pixels)[1:-1, 1:-1] == 255).all()


@given(geometries, sides, sides)
def test_every_film_gives_a_full_picture(geometry: Geometry, height: int, width: int) -> None:
    result = geometry.apply(np.ones((height, width), np.float32))
    assert result.shape == (geometry.height, geometry.width)
    assert result.dtype == np.uint8
    left, top, right, bottom = geometry.place(height, width).result
    assert (result[top:bottom, left:right] == 255).all()


@given(geometries, sides, sides, boxes)
def test_boxes_go_there_and_back(
    geometry: Geometry, height: int, width: int, boxes: list[tuple[float, float, float, float]]
) -> None:
    given = np.array(boxes)
    there = geometry.boxes_to_result(given, height, width)
    np.testing.assert_allclose(geometry.boxes_to_film(there, height, width), given, atol=1e-9)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("size", [(120, 200), (200, 120)])
def test_pixels_and_boxes_move_together(mode: Mode, size: tuple[int, int]) -> None:
    """A white box drawn on a film is found, by its pixels, where the boxes say."""
    height, width = size
    box = np.array([[0.4, 0.45, 0.2, 0.15]])
    pixels = np.zeros(size, np.float32)
    x, y, w, h = (box[0] * [width, height, width, height]).round().astype(int)
    pixels[y : y + h, x : x + w] = 1
    geometry = Geometry(mode, 160, 96, keep=0.9)
    rows, columns = np.nonzero(geometry.apply(pixels) > 127)
    expected = geometry.boxes_to_result(box, height, width)[0] * [96, 160, 96, 160]
    found = [columns.min(), rows.min(), np.ptp(columns) + 1, np.ptp(rows) + 1]
    np.testing.assert_allclose(found, expected, atol=1.5)


@pytest.mark.parametrize(("text", "size"), [("224", (224, 224)), ("256x300", (256, 300)), (" 64 ", (64, 64))])
def test_sizes_as_typed(text: str, size: tuple[int, int]) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "x", "224x", "12,5", "-3"])
def test_a_size_that_is_none_says_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match="write 224"):
        parse_size(text)


def test_impossible_geometries_are_refused() -> None:
    values: Any
    for values in (("squash", 4, 224, 1.0), ("squash", 224, 9999, 1.0), ("fit", 64, 64, 0.0), ("warp", 64, 64, 1.0)):
        with pytest.raises(ValueError, match="geometry"):
            Geometry(*values)


def test_reduced_decoding_changes_the_picture_little() -> None:
    """What at_least saves must not be seen: a large JPEG gives nearly the same picture either way."""
    from hilum import read

    y, x = np.mgrid[:1100, :1500]
    smooth = Image.fromarray(np.uint8(127 + 80 * np.sin(x / 40) * np.cos(y / 60)))
    stream = io.BytesIO()
    smooth.save(stream, "JPEG", quality=90)
    geometry = Geometry("squash", 224, 224)
    full = geometry.apply(read(stream.getvalue()).pixels)
    reduced = geometry.apply(read(stream.getvalue(), at_least=geometry.at_least).pixels)
    assert np.abs(full.astype(int) - reduced).max() <= 4
