"""The film with what the network saw over it: evidence, probability, decision and how it came about.

Nothing is written onto the film itself but boxes, so that text is legible on any film and hides nothing. No text of a
DICOM header is drawn.
"""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.bundle.prediction import RESEARCH_USE, Abstained, Answered, Failed, Prediction
from hilum.output.lungs import found_lungs
from hilum.output.marks import blend, draw_boxes, draw_edge_of_lungs
from hilum.output.table import decision_in_words, group_in_words, percent
from hilum.radiograph import Radiograph
from hilum.system.pictures import write_picture
from hilum.system.text import printable

LOWEST, TALLEST, NARROWEST, WIDEST = 640, 1200, 640, 1500  # of the film as drawn, in pixels
MARGIN, BAR, TICKS, LETTERS = 24, 18, 74, 24
BACKGROUND, TEXT, DIM, SEEN = (17, 18, 21), (240, 240, 240), (165, 170, 180), (120, 125, 135)
DECISIONS = {
    "pneumonia": ("Pneumonia", (255, 176, 58)),
    "no_pneumonia": ("No pneumonia", (140, 200, 255)),
    "abstain": ("Abstained", (214, 160, 255)),
    None: ("Not judged", (255, 120, 110)),
}

Pen = ImageDraw.ImageDraw
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


def write_overlay(prediction: Prediction, film: Radiograph, target: Path) -> None:
    """Draw a film with its prediction and save it as PNG."""
    picture = draw_overlay(prediction, film)
    target.parent.mkdir(parents=True, exist_ok=True)
    write_picture(picture, target, durable=False, compress_level=3)


def draw_overlay(prediction: Prediction, film: Radiograph) -> Image.Image:
    """A picture for people of a film and what was said of it.

    >>> answer = hilum.load("model.onnx").predict("film.png")
    >>> hilum.draw_overlay(answer, hilum.read("film.png")).save("overlay.png")
    """
    height, width = _drawn_size(*film.pixels.shape)
    levels = _drawn_film(film, height, width)
    heatmap = prediction.heatmap if isinstance(prediction, Answered) else None
    most = 0.0
    if isinstance(prediction, Answered) and heatmap is not None:
        most = float(np.abs(heatmap).max())  # either way: little evidence on a film full of the contrary is faint
        levels = blend(levels, prediction.heatmap_on_film(height, width), most)
    if isinstance(prediction, Answered) and found_lungs(prediction):
        levels = draw_edge_of_lungs(levels, prediction.lungs_on_film(height, width))
    picture = Image.fromarray(levels)
    if isinstance(prediction, Answered):
        _draw_seen_area(ImageDraw.Draw(picture), prediction, height, width)
        draw_boxes(ImageDraw.Draw(picture), prediction.boxes, height, width)

    across = max(width + (MARGIN + BAR + TICKS + LETTERS if heatmap is not None else 0), NARROWEST)
    above = _Text(across)
    above.add(*_headline(prediction))
    for line in _explanation(prediction):
        above.add(line, 19, TEXT)
    above.add(f"{Path(prediction.path).name if prediction.path else 'film'} \u00b7 {prediction.model}", 17, DIM)
    below = _Text(across)
    for line in (*(_about(prediction, most) if isinstance(prediction, Answered) else ()), RESEARCH_USE):
        below.add(line, 17, DIM)

    size = (across + 2 * MARGIN, above.height + height + below.height + 4 * MARGIN)
    sheet = Image.new("RGB", size, BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    left, top = MARGIN + (across - width) // 2 * (heatmap is None), 2 * MARGIN + above.height
    above.draw(pen, MARGIN, MARGIN)
    sheet.paste(picture, (left, top))
    if isinstance(prediction, Answered) and heatmap is not None:
        _draw_scale(sheet, left + width + MARGIN, top, height, most)
        _draw_unit(sheet, left + width + MARGIN + BAR + TICKS, top, height, _unit(prediction.about))
    below.draw(pen, MARGIN, top + height + MARGIN)
    return sheet


def _drawn_size(height: int, width: int) -> tuple[int, int]:
    """Height and width of the film in the picture: small ones are enlarged, large ones made to fit a screen."""
    scale = max(LOWEST / height, 1.0) if height < LOWEST else min(TALLEST / height, 1.0)
    scale = min(scale, WIDEST / width)
    return max(round(height * scale), 1), max(round(width * scale), 1)


def _drawn_film(radiograph: Radiograph, height: int, width: int) -> NDArray[np.uint8]:
    levels = np.rint(radiograph.pixels * np.float32(255)).astype(np.uint8)
    resampled = Image.fromarray(levels).resize((width, height), Image.Resampling.BICUBIC, reducing_gap=3.0)
    return np.repeat(np.asarray(resampled)[..., None], 3, axis=2)


def _headline(prediction: Prediction) -> tuple[str, int, tuple[int, int, int]]:
    words, color = DECISIONS[prediction.decision]
    if isinstance(prediction, Answered):
        words = decision_in_words(prediction).capitalize()
        words += f" \u00b7 probability of pneumonia {percent(prediction.probability)}"
    return words, 34, color


def _explanation(prediction: Prediction) -> list[str]:
    """How the decision came about."""
    if isinstance(prediction, Failed):
        return [f"{prediction.reason.replace('_', ' ').capitalize()}: {prediction.detail}"]
    if isinstance(prediction, Abstained):
        reason = (prediction.gate.reason or "").replace("_", " ").capitalize()
        return [f"{reason}: {prediction.gate.detail}"]
    compared = "At or above" if prediction.decision == "pneumonia" else "Below"
    point = prediction.operating_point
    whose = f"of the operating point \u201c{point}\u201d" if point else "set by hand"
    lines = [f"{compared} {percent(prediction.threshold)}, the threshold {whose}"]
    if prediction.patient_group is not None:
        lines.append(f"Patient: {group_in_words(prediction.patient_group)}")
    if prediction.gate.passed is None:
        lines.append("Gate off: not checked whether this is an upright frontal chest film")
    return lines


def _about(answer: Answered, most: float) -> list[str]:
    """What is drawn on the film, and what it means."""
    lines = []
    if answer.heatmap is not None:
        lines.append(
            f"Color: evidence for pneumonia ({answer.about}). It shows what the network used, not where disease ends."
        )
        if float(answer.heatmap.max()) <= 0.02 * most:
            lines.append("No place on this film speaks for pneumonia.")
    elif not answer.about.startswith("none"):
        lines.append("No heatmap was asked for.")
    elif answer.box_threshold is None:
        lines.append(f"No heatmap: {answer.about.removeprefix('none:').strip()}")
    if answer.box_threshold is not None:
        least = f"Boxes are drawn from a score of {percent(answer.box_threshold)} on"
        meaning = "; a score is the share of such boxes that overlapped a true one by half on validation."
        lines.append(least + (meaning if answer.boxes else ": none on this film."))
    if found_lungs(answer):
        lines.append("Thin line around the lungs, as the network finds them.")
    elif answer.lungs is not None:
        lines.append("It found no pair of lungs.")
    if not _sees_all(answer):
        lines.append("The network looks at the part inside the thin rectangle.")
    return lines


def _sees_all(answer: Answered) -> bool:
    left, top, right, bottom = answer.geometry.place(answer.height, answer.width).film
    return (right - left) >= 0.99 * answer.width and (bottom - top) >= 0.99 * answer.height


def _draw_seen_area(pen: Pen, answer: Answered, height: int, width: int) -> None:
    if _sees_all(answer):
        return
    left, top, right, bottom = answer.geometry.place(height, width).film
    pen.rectangle((left, top, right - 1, bottom - 1), outline=SEEN, width=2)


def _draw_scale(sheet: Image.Image, left: int, top: int, height: int, most: float) -> None:
    """A color bar as tall as the film, blended as on mid-grey film, with its numbers."""
    column = np.linspace(1, 0, height, dtype=np.float32)[:, None].repeat(BAR, 1)
    grey = np.full((height, BAR, 3), 96, np.uint8)
    sheet.paste(Image.fromarray(blend(grey, column, 1.0)), (left, top))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(17)
    for value in _round_steps(most):
        y = top + round((1 - value / most) * (height - 1)) if most else top + height - 1
        pen.line((left + BAR, y, left + BAR + 5, y), DIM)
        pen.text((left + BAR + 10, y), f"{value:.6g}", TEXT, font, anchor="lm")


def _draw_unit(sheet: Image.Image, left: int, top: int, height: int, unit: str) -> None:
    """What the numbers are of, written upwards beside them, in as many words as the film is high."""
    font = ImageFont.load_default(LETTERS - 7)
    words = next((text for text in (f"evidence for pneumonia, {unit}", unit) if font.getlength(text) <= height), "")
    label = Image.new("RGB", (height, LETTERS), BACKGROUND)
    ImageDraw.Draw(label).text((height / 2, LETTERS / 2), words, DIM, font, anchor="mm")
    sheet.paste(label.transpose(Image.Transpose.ROTATE_90), (left, top))


def _unit(about: str) -> str:
    """What class activation maps are averaged to is log odds; what else there is has no unit."""
    return "log odds" if about.startswith("class activation map") else "the network's own scale"


def _round_steps(most: float) -> list[float]:
    """Round numbers from 0 to at most `most`, about five of them."""
    if most <= 0:
        return [0.0]
    power = 10.0 ** math.floor(math.log10(most / 5))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= most / 5)
    return [step * number for number in range(int(most / step) + 1)]


class _Text:
    """Lines of several sizes, wrapped to a width and measured before there is a picture to put them on."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.height = 0
        self.lines: list[tuple[str, Font, tuple[int, int, int], int]] = []

    def add(self, text: str, size: int, color: tuple[int, int, int]) -> None:
        font = ImageFont.load_default(size)
        step = round(size * 1.35)
        for line in _wrap(printable(text), font, self.width):
            self.lines.append((line, font, color, self.height))
            self.height += step

    def draw(self, pen: Pen, x: int, y: int) -> None:
        for line, font, color, offset in self.lines:
            pen.text((x, y + offset), line, color, font)


def _wrap(text: str, font: Font, width: int) -> list[str]:
    """Lines that fit, broken at spaces or, in long names, anywhere."""
    lines, line = [], ""
    for word in text.split():
        joined = f"{line} {word}" if line else word
        if font.getlength(joined) <= width:
            line = joined
            continue
        if line:
            lines.append(line)
        while font.getlength(word) > width:
            cut = next(end for end in range(len(word) - 1, 0, -1) if font.getlength(word[:end]) <= width)
            lines.append(word[:cut])
            word = word[cut:]
        line = word
    return [*lines, line] if line else lines
