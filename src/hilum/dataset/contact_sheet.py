"""A contact sheet: many films at a glance, each with its label, its split and its boxes."""

from __future__ import annotations

import hashlib

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.dataset.manifest.manifest import Manifest
from hilum.radiograph import ReadError, read
from hilum.radiograph.geometry import Geometry

CELL, CAPTION, GAP = 220, 34, 6
BACKGROUND, TEXT, DIM, BOX = (24, 26, 30), (235, 235, 235), (160, 165, 175), (255, 190, 60)


def choose_films(table: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """As many films of each label as fit, drawn by the seed, label after label."""
    keys = [hashlib.blake2b(f"{seed} {path}".encode(), digest_size=8).hexdigest() for path in table["path"].to_list()]
    drawn = table.with_columns(pl.Series("drawn", keys)).sort("drawn")
    turn = pl.int_range(pl.len()).over("label")  # the first of each label, then the second of each, ...
    chosen = drawn.with_columns(turn.alias("turn")).sort("turn", "drawn").head(count)
    return chosen.sort("label", "turn", nulls_last=True).drop("drawn", "turn")


def draw_sheet(manifest: Manifest, films: pl.DataFrame, columns: int) -> Image.Image:
    """The films in rows of `columns`, whole and in their own aspect ratio; one that cannot be read says so."""
    columns = min(columns, max(films.height, 1))
    rows = -(-films.height // columns)
    sheet = Image.new("RGB", (columns * (CELL + GAP) + GAP, rows * (CELL + CAPTION + GAP) + GAP), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(14), ImageFont.load_default(11)
    for number, film in enumerate(films.iter_rows(named=True)):
        x, y = GAP + number % columns * (CELL + GAP), GAP + number // columns * (CELL + CAPTION + GAP)
        try:
            radiograph = read(manifest.path(film["path"]), at_least=CELL)
        except (ReadError, OSError) as error:
            reason = error.reason if isinstance(error, ReadError) else "cannot be opened"
            pen.text((x + 8, y + CELL // 2), reason, TEXT, large)
        else:
            _paste_film(sheet, pen, radiograph.pixels, film["boxes"] or [], x, y)
        label = film["label"] or "no label"
        findings = " ".join(finding for finding in film["findings"] or [] if finding != label)
        pen.text((x + 2, y + CELL + 2), label, TEXT, large)
        pen.text(
            (x + 2, y + CELL + 19), f"{film['split'] or film['official_split'] or ''}  {findings}"[:42], DIM, small
        )
    return sheet


def _paste_film(
    sheet: Image.Image, pen: ImageDraw.ImageDraw, pixels: NDArray[np.float32], boxes: list[list[float]], x: int, y: int
) -> None:
    geometry = Geometry("fit", CELL, CELL)
    sheet.paste(Image.fromarray(geometry.apply(pixels)), (x, y))
    if boxes:
        placed = geometry.boxes_to_result(np.array(boxes, np.float64), *pixels.shape) * CELL
        for left, top, width, height in placed:
            pen.rectangle((x + left, y + top, x + left + width, y + top + height), outline=BOX, width=2)
