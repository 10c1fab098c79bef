"""The drawn film: heat where the geometry saw it, text that is all there, and nothing that names a patient."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import an_answer
from films import dicom
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.bundle.prediction import Abstained, Answered, Box, Failed, Prediction
from hilum.bundle.reading import Verdict
from hilum.output.marks import BOX, SHADOW, TAG, blend, colors_of, draw_boxes, draw_edge_of_lungs
from hilum.output.overlay import (
    LETTERS,
    MARGIN,
    _about,
    _explanation,
    _headline,
    _round_steps,
    _wrap,
    draw_overlay,
    write_overlay,
)
from hilum.radiograph import Radiograph, read
from hilum.radiograph.geometry import Geometry


def grey_film(height: int, width: int, level: float = 0.4) -> Radiograph:
    return Radiograph(np.full((height, width), level, np.float32), "png", "PNG", "L", 8, height, width)


def answer(geometry: Geometry, heat: NDArray[np.float32] | None, height: int, width: int, **changes: Any) -> Answered:
    return an_answer(geometry=geometry, heatmap=heat, height=height, width=width, **changes)


def abstained(height: int, width: int, **changes: Any) -> Abstained:
    as_usual: dict[str, Any] = {
        "path": "ward/film.png",
        "operating_point": "balanced",
        "threshold": 0.5,
        "box_threshold": None,
        "model": "A network made by hand",
        "bundle": "0" * 32,
        "height": height,
        "width": width,
        "turn": 1,
        "warnings": (),
        "gate": Verdict(False, "rotated", "turn it upright"),
    }
    return Abstained(**as_usual | changes)


def colorfulness(picture: NDArray[np.uint8]) -> NDArray[np.int16]:
    levels = picture.astype(np.int16)
    return np.asarray(levels.max(axis=2) - levels.min(axis=2))


@pytest.mark.parametrize("mode", ["squash", "fit", "crop"])
@pytest.mark.parametrize(("height", "width"), [(900, 720), (720, 1000)])
@pytest.mark.parametrize(("row", "column"), [(2, 3), (5, 4)])
def test_a_hot_cell_is_drawn_where_the_geometry_saw_it(
    mode: str, height: int, width: int, row: int, column: int
) -> None:
    """The expected place follows from the definition of the geometries, not from the code that inverts them."""
    geometry = Geometry(mode, 720, 720)  # type: ignore[arg-type]  # a size at which no edge is rounded
    heat = np.zeros((8, 8), np.float32)
    heat[row, column] = 5
    drawn = np.asarray(draw_overlay(answer(geometry, heat, height, width), grey_film(height, width)))
    top = next(y for y in range(len(drawn)) if (drawn[y, MARGIN + 10 : MARGIN + 60] == 102).all())
    film = colorfulness(drawn[top : top + height, MARGIN : MARGIN + width])
    film[film < film.max() / 2] = 0  # the middle of the spot; its seam may lie beside the film
    y, x = np.average(np.mgrid[:height, :width].reshape(2, -1), axis=1, weights=film.ravel())
    across, down = (column + 0.5) / 8, (row + 0.5) / 8
    if mode == "squash":
        expected = (down * height, across * width)
    else:
        side = max(height, width) if mode == "fit" else min(height, width)
        expected = (height / 2 + (down - 0.5) * side, width / 2 + (across - 0.5) * side)
    assert (y, x) == pytest.approx(expected, abs=3)


def test_color_stands_only_where_there_is_evidence_and_grows_with_it() -> None:
    film = np.full((1, 5, 3), 100, np.uint8)
    evidence = np.array([[-3, 0, 1, 2, 4]], np.float32)
    blended = blend(film, evidence, 4.0)
    np.testing.assert_array_equal(blended[:, :2], film[:, :2])
    away = np.abs(blended.astype(np.int16) - 100).sum(axis=2)[0]
    assert 0 < away[2] < away[3] < away[4]


def test_the_colors_get_lighter_evenly() -> None:
    """Lightness as CIE L* has it: no step of the map may run back or jump."""
    srgb = colors_of(np.linspace(0, 1, 21, dtype=np.float32)) / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
    luminance = linear @ np.array([0.2126, 0.7152, 0.0722])
    lightness = 116 * np.cbrt(luminance) - 16
    steps = np.diff(lightness)
    assert steps.min() > 0
    assert steps.max() < 2.5 * steps.mean()


@pytest.mark.parametrize(
    ("height", "width"), [(64, 64), (256, 200), (2000, 900), (500, 3000), (4000, 3500), (3000, 64)]
)
@pytest.mark.parametrize("decision", ["pneumonia", "no_pneumonia", "abstain"])
def test_any_film_fits_and_no_text_touches_the_edge(height: int, width: int, decision: str) -> None:
    geometry = Geometry("crop", 64, 64, 0.8)
    heat = np.random.default_rng(1).normal(0, 9, (7, 7)).astype(np.float32)
    named: dict[str, Any] = {
        "path": "/ward/" + "a-very-long-name-without-any-space-" * 6 + ".png",
        "model": "T " * 90,
    }
    prediction: Prediction
    if decision == "abstain":
        away = Verdict(False, "rotated", "looks turned by 90 degrees clockwise; " * 5)
        prediction = abstained(height, width, gate=away, **named)
    else:
        boxes = (Box(-0.1, -0.1, 0.3, 0.3, 0.91, "opacity"), Box(0.9, 0.9, 0.3, 0.3, 0.05, "opacity"))
        prediction = answer(geometry, heat, height, width, decision=decision, gate=Verdict(None), boxes=boxes, **named)
    drawn = np.asarray(draw_overlay(prediction, grey_film(height, width)))
    assert drawn.shape[1] <= 1700
    background = drawn[0, 0]
    assert (drawn[: MARGIN - 2] == background).all()
    assert (drawn[-(MARGIN - 8) :] == background).all()
    assert (drawn[:, : MARGIN - 2] == background).all()
    assert (drawn[:, -(MARGIN - 8) :] == background).all()


def test_an_abstained_film_and_one_without_heatmap_have_no_color_on_them() -> None:
    geometry = Geometry("squash", 64, 64)
    without = answer(geometry, None, 700, 700, about="none: its head is not linear")
    for prediction in (without, abstained(700, 700)):
        drawn = np.asarray(draw_overlay(prediction, grey_film(700, 700)))
        assert (drawn == 102).all(axis=2).sum() >= 700 * 700  # every pixel of the film is as it was


@pytest.mark.parametrize("level", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("most", [0.0, 4.0])
def test_a_box_stands_out_on_any_film_and_over_any_heat(level: float, most: float) -> None:
    """By a contrast of 3 with what lies beside its line, which WCAG asks of graphics, or with its shadow there."""
    heat = np.linspace(0, most, 64, dtype=np.float32).reshape(8, 8)
    box = Box(0.25, 0.25, 0.5, 0.5, 0.8, "opacity")
    prediction = answer(Geometry("squash", 64, 64), heat, 720, 720, boxes=(box,), box_threshold=0.5)
    drawn = np.asarray(draw_overlay(prediction, grey_film(720, 720, level))).astype(np.int16)
    colored: NDArray[np.bool_] = np.asarray((drawn == BOX).all(axis=2))
    rows, columns = np.nonzero(colored)
    assert (np.ptp(rows), np.ptp(columns)) == pytest.approx((360 + TAG, 360), abs=2), "line and tag, nothing hides them"
    line = np.flatnonzero(colored[(rows.min() + rows.max()) // 2])
    beside = drawn[(rows.min() + rows.max()) // 2, [line[0] - 1, line[-1] + 1]]
    assert (beside == SHADOW).all()
    assert contrast(np.array(BOX), np.array(SHADOW)) > 3


def contrast(one: NDArray[np.int_], other: NDArray[np.int_]) -> float:
    """As WCAG defines it."""

    def luminance(color: NDArray[np.int_]) -> float:
        srgb = color / 255
        linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ np.array([0.2126, 0.7152, 0.0722]))

    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


def test_heat_and_boxes_and_lungs_are_in_one_picture_and_it_says_what_each_is() -> None:
    heat, lungs = np.ones((8, 8), np.float32), np.zeros((16, 16), np.uint8)
    lungs[4:12, 2:6] = lungs[4:12, 10:14] = 255
    box = Box(0.1, 0.1, 0.2, 0.2, 0.8, "opacity")
    prediction = answer(Geometry("squash", 64, 64), heat, 720, 720, boxes=(box,), box_threshold=0.5, lungs=lungs)
    said = " ".join(_about(prediction, 1.0))
    assert "Color: evidence" in said and "Boxes are drawn from" in said and "around the lungs" in said
    nowhere = answer(Geometry("squash", 64, 64), heat, 720, 720, lungs=np.full((16, 16), 255, np.uint8))
    assert "no pair of lungs" in " ".join(_about(nowhere, 1.0))


def test_the_edge_of_the_lungs_is_a_thin_line_where_the_mask_ends() -> None:
    film, lungs = np.zeros((40, 40, 3), np.uint8), np.zeros((40, 40), np.float32)
    lungs[10:30, 5:15] = 1
    drawn: NDArray[np.bool_] = np.asarray(draw_edge_of_lungs(film, lungs).any(axis=2))
    assert drawn[10, 5:15].all() and drawn[30, 5:15].all() and drawn[10:30, 5].all() and drawn[10:30, 15].all()
    assert drawn.sum() == 2 * (10 + 20) - 1, "and nothing else; one corner lies on two sides"
    assert not draw_edge_of_lungs(film, np.ones((40, 40), np.float32)).any()


@given(
    st.lists(st.tuples(*[st.floats(0, 0.85)] * 2, *[st.floats(0.15, 0.6)] * 2), max_size=4),
    st.integers(80, 700),
    st.integers(200, 900),
)
@settings(deadline=None, max_examples=40)
def test_boxes_and_tags_stay_on_the_film(
    places: list[tuple[float, float, float, float]], height: int, width: int
) -> None:
    """On a canvas that is larger than the film, nothing is drawn beside the film but the shadow of a line."""
    picture = Image.new("RGB", (width + 50, height + 50), (9, 9, 9))
    boxes = [Box(*place, 0.5, "opacity") for place in places]
    draw_boxes(ImageDraw.Draw(picture), boxes, height, width)
    beside = np.asarray(picture)
    assert (beside[height + 1 :] == 9).all() and (beside[:, width + 1 :] == 9).all()


def test_tags_of_boxes_that_overlap_do_not_hide_each_other() -> None:
    picture = Image.new("RGB", (600, 600), (9, 9, 9))
    boxes = [Box(0.3, 0.3, 0.3, 0.3, 0.9, "opacity"), Box(0.31, 0.3, 0.3, 0.3, 0.5, "opacity")]
    alone = []
    for box in boxes:
        one = picture.copy()
        draw_boxes(ImageDraw.Draw(one), [box], 600, 600)
        alone.append(letters(one))
    draw_boxes(ImageDraw.Draw(picture), boxes, 600, 600)
    assert letters(picture) == sum(alone)


def test_of_many_boxes_in_one_place_the_surest_have_tags() -> None:
    boxes = [Box(0.3, 0.3, 0.3, 0.3, 0.9 - place / 100, "opacity") for place in range(20)]
    pictures: list[Image.Image] = []
    for drawn in (boxes, boxes[:8]):  # a box has eight places for a tag at most
        pictures.append(Image.new("RGB", (600, 600), (9, 9, 9)))
        draw_boxes(ImageDraw.Draw(pictures[-1]), drawn, 600, 600)
    np.testing.assert_array_equal(pictures[0], pictures[1])


def letters(picture: Image.Image) -> int:
    """How many pixels of tags are neither blank nor line: those at the edges of letters."""
    levels = np.asarray(picture).astype(int)
    return int(((levels[..., 2] > 20) & (levels[..., 2] < 250)).sum())


def test_the_headline_says_what_the_number_is_of() -> None:
    """ "No pneumonia, 33.6%" reads as sure of no pneumonia."""
    geometry = Geometry("squash", 64, 64)
    negative = answer(geometry, None, 64, 64, decision="no_pneumonia", probability=0.336)
    assert _headline(negative)[0] == "No pneumonia \u00b7 probability of pneumonia 33.6%"
    assert _explanation(negative) == ["Below 50.0%, the threshold of the operating point \u201cbalanced\u201d"]
    assert _headline(abstained(64, 64))[0] == "Abstained"


def test_a_film_without_an_answer_is_drawn_without_a_decision() -> None:
    failed = Failed(
        path="film.png",
        operating_point="balanced",
        threshold=0.5,
        box_threshold=None,
        model="",
        bundle="",
        reason="not_a_number",
        detail="export the bundle again",
    )
    assert _headline(failed)[0] == "Not judged"
    assert _explanation(failed) == ["Not a number: export the bundle again"]
    drawn = np.asarray(draw_overlay(failed, grey_film(700, 700)))
    assert (drawn == 102).all(axis=2).sum() >= 700 * 700


@pytest.mark.parametrize(("height", "width", "words"), [(700, 700, True), (150, 1500, True), (20, 1500, False)])
def test_the_bar_of_colors_says_what_its_numbers_are_of(height: int, width: int, words: bool) -> None:
    """In as many words as the film is high, none rather than half of them."""
    geometry = Geometry("squash", 64, 64)
    heat = np.ones((8, 8), np.float32)
    drawn = draw_overlay(answer(geometry, heat, height, width), grey_film(height, width))
    beside = np.asarray(drawn)[:, -MARGIN - LETTERS : -MARGIN].astype(int)
    assert (np.abs(beside - beside[0, 0]).max() > 60) == words


def test_no_text_of_a_header_is_drawn(tmp_path: Path) -> None:
    """The same pixels with and without a patient's data make the same picture, byte for byte."""
    drawn = []
    headers: tuple[dict[str, Any], ...] = ({}, {"PatientName": "Doe^Jane", "InstitutionName": "Doe"})
    for header in headers:
        film, target = tmp_path / "film.dcm", tmp_path / "drawn.png"
        film.write_bytes(dicom(**header))
        prediction = answer(Geometry("squash", 64, 64), np.ones((8, 8), np.float32), 12, 16, path=str(film))
        write_overlay(prediction, read(film), target)
        drawn.append(target.read_bytes())
    assert drawn[0] == drawn[1]


@given(st.floats(1e-6, 1e6))
def test_the_scale_has_a_few_round_numbers(most: float) -> None:
    steps = _round_steps(most)
    assert 3 <= len(steps) <= 6
    assert steps[0] == 0
    assert 0.6 * most < steps[-1] <= most * (1 + 1e-9)


@settings(deadline=None)
@given(st.text(st.characters(codec="utf-8", exclude_categories=["C"]), max_size=120), st.integers(60, 400))
def test_wrapped_text_fits_and_loses_nothing(text: str, width: int) -> None:
    font = ImageFont.load_default(17)
    lines = _wrap(text, font, width)
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert all(font.getlength(line) <= width for line in lines)
