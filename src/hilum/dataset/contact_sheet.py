"""A contact sheet: many films at a glance, each with its label, its split and its boxes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from hilum.dataset.manifest.manifest import Manifest
from hilum.radiograph import ReadError, read
from hilum.radiograph.geometry import Geometry
from hilum.system.text import printable

SIDE, CAPTION, GAP = 220, 34, 6
BACKGROUND, TEXT, DIM, BOX = (24, 26, 30), (235, 235, 235), (160, 165, 175), (255, 190, 60)


@dataclass(frozen=True, slots=True, eq=False)
class Cell:
    """One picture of a sheet, or the reason why there is none, and what is written below it.

    `boxes` are left, top, right, bottom as fractions of the picture.
    """

    picture: NDArray[np.uint8] | str
    title: str
    detail: str
    boxes: NDArray[np.float64] | None = None


def sample_films(table: pl.DataFrame, count: int, seed: int) -> pl.DataFrame:
    """As many films of each label as fit, drawn by the seed, label after label."""
    keys = [hashlib.blake2b(f"{seed} {path}".encode(), digest_size=8).hexdigest() for path in table["path"].to_list()]
    drawn = table.with_columns(pl.Series("drawn", keys)).sort("drawn")
    turn = pl.int_range(pl.len()).over("label")  # the first of each label, then the second of each, ...
    chosen = drawn.with_columns(turn.alias("turn")).sort("turn", "drawn").head(count)
    return chosen.sort("label", "turn", nulls_last=True).drop("drawn", "turn")


def draw_sheet(manifest: Manifest, films: pl.DataFrame, columns: int) -> Image.Image:
    """The films in rows of `columns`, whole and in their own aspect ratio; one that cannot be read says so."""
    return lay_out([_cell(manifest, film) for film in films.iter_rows(named=True)], columns)


def lay_out(cells: Sequence[Cell], columns: int) -> Image.Image:
    """The cells in rows of `columns`. A picture that is not of a cell's size is scaled to fit."""
    columns = min(columns, max(len(cells), 1))
    rows = -(-len(cells) // columns)
    sheet = Image.new("RGB", (columns * (SIDE + GAP) + GAP, rows * (SIDE + CAPTION + GAP) + GAP), BACKGROUND)
    pen = ImageDraw.Draw(sheet)
    large, small = ImageFont.load_default(14), ImageFont.load_default(11)
    for number, cell in enumerate(cells):
        x, y = GAP + number % columns * (SIDE + GAP), GAP + number // columns * (SIDE + CAPTION + GAP)
        if isinstance(cell.picture, str):
            pen.text((x + 8, y + SIDE // 2), printable(cell.picture), TEXT, large)
        else:
            _paste(sheet, cell.picture, cell.boxes, (x, y))
        pen.text((x + 2, y + SIDE + 2), printable(cell.title)[:30], TEXT, large)
        pen.text((x + 2, y + SIDE + 19), printable(cell.detail)[:42], DIM, small)
    return sheet


def _cell(manifest: Manifest, film: dict[str, object]) -> Cell:
    label = str(film["label"] or "no label")
    findings = " ".join(finding for finding in film["findings"] or [] if finding != label)  # type: ignore[attr-defined]
    detail = f"{film['split'] or film['official_split'] or ''}  {findings}"
    try:
        radiograph = read(manifest.path(str(film["path"])), at_least=SIDE)
    except (ReadError, OSError) as error:
        reason = error.reason if isinstance(error, ReadError) else "cannot be opened"
        return Cell(reason, label, detail)
    geometry = Geometry("fit", SIDE, SIDE)
    boxes = None
    if film["boxes"]:
        placed = geometry.boxes_to_result(np.array(film["boxes"], np.float64), *radiograph.pixels.shape)
        boxes = np.concatenate([placed[:, :2], placed[:, :2] + placed[:, 2:]], axis=1)
    return Cell(geometry.apply(radiograph.pixels), label, detail, boxes)


def _paste(
    sheet: Image.Image, levels: NDArray[np.uint8], boxes: NDArray[np.float64] | None, corner: tuple[int, int]
) -> None:
    height, width = levels.shape
    scale = SIDE / max(height, width)
    across, down = round(width * scale), round(height * scale)
    picture = Image.fromarray(levels)
    if scale != 1:
        picture = picture.resize((across, down), Image.Resampling.BILINEAR)
    sheet.paste(picture, corner)
    pen, (x, y) = ImageDraw.Draw(sheet), corner
    for left, top, right, bottom in [] if boxes is None else boxes * [across, down, across, down]:
        pen.rectangle((x + left, y + top, x + right, y + bottom), outline=BOX, width=2)
