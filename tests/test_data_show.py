"""What `hilum data show` says and draws: counts, box sizes by split, and films as a recipe trains on them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from commands import run
from films import picture, smooth_picture
from numpy.typing import NDArray
from PIL import Image

from hilum.dataset.contact_sheet import BOX, CAPTION, GAP, SIDE
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.dataset.summary import box_rows, draw_summary, summarize
from hilum.training.preview import draw_preview
from hilum.training.recipe import RecipeError, recipe_from

LABELS = ("normal", "pneumonia")
BOXED = [0.1, 0.25, 0.3, 0.5]  # left, top, width, height


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    """Two films of each label in train and in test; those with pneumonia have a box at their left."""
    for split in ("train", "test"):
        for number, label in enumerate(LABELS):
            for film in range(2):
                path = tmp_path / "set" / split / label / f"film-{film}.png"
                path.parent.mkdir(parents=True, exist_ok=True)
                levels = (smooth_picture() // (1 + film + 2 * number)).astype(np.uint8)
                path.write_bytes(picture(Image.fromarray(levels), "PNG"))
    made = import_folder(tmp_path / "set", "folder")[0]
    boxes = pl.when(pl.col("label") == "pneumonia").then(pl.lit([BOXED], pl.List(pl.List(pl.Float64))))
    return Manifest(made.table.with_columns(boxes=boxes), made.folder)


def cell(sheet: NDArray[np.uint8], row: int, column: int) -> NDArray[np.uint8]:
    y, x = GAP + row * (SIDE + CAPTION + GAP), GAP + column * (SIDE + GAP)
    return sheet[y : y + SIDE, x : x + SIDE]


def left_and_right(drawn: NDArray[np.uint8]) -> tuple[float, float]:
    """Where the outline of a box stands, as fractions of the picture."""
    columns = np.flatnonzero((drawn == BOX).all(2).sum(0) > SIDE / 4)
    return float(columns.min()) / SIDE, float(columns.max()) / SIDE


def test_varied_films_are_what_the_recipe_makes_of_them(manifest: Manifest) -> None:
    flipped = recipe_from({"input": {"height": SIDE, "width": SIDE}, "augmentation": {"flip_horizontal": 1.0}})
    sheet = np.asarray(draw_preview(manifest, flipped, 2, 3, 1))
    for row in range(2):
        as_it_is = cell(sheet, row, 0)
        assert as_it_is.std() > 5
        for column in (1, 2):
            assert np.abs(cell(sheet, row, column).astype(int) - as_it_is[:, ::-1]).max() <= 1
    plain = np.asarray(draw_preview(manifest, recipe_from({"input": {"height": 64, "width": 64}}), 2, 3, 1))
    assert (cell(plain, 0, 0) == cell(plain, 0, 2)).all()


def test_boxes_go_where_the_pixels_go(manifest: Manifest) -> None:
    detector = {"input": {"height": 96, "width": 96}, "augmentation": {"flip_horizontal": 1.0}, "detector": {}}
    sheet = np.asarray(draw_preview(manifest, recipe_from(detector), 2, 2, 1))
    drawn = [row for row in range(2) if (cell(sheet, row, 0) == BOX).all(2).any()]
    assert len(drawn) == 1, "the film without pneumonia has no box"
    left, right = BOXED[0], BOXED[0] + BOXED[2]
    assert left_and_right(cell(sheet, drawn[0], 0)) == pytest.approx((left, right), abs=0.02)
    assert left_and_right(cell(sheet, drawn[0], 1)) == pytest.approx((1 - right, 1 - left), abs=0.02)


@pytest.mark.parametrize("made", [{"detector": {"mosaic": 0.5}}, {"loss": {"mixup": 0.4}}])
def test_blended_films_come_last(manifest: Manifest, made: dict[str, object]) -> None:
    recipe = recipe_from({"input": {"height": 96, "width": 96}, **made})
    sheet = np.asarray(draw_preview(manifest, recipe, 4, 3, 1)).astype(int)
    assert all((cell(sheet, row, 0) == cell(sheet, row, 1)).all() for row in range(4)), "nothing is varied"
    assert any((cell(sheet, row, 0) != cell(sheet, row, 2)).any() for row in range(4)), "but films are blended"


def test_a_recipe_of_other_classes_has_nothing_to_show(manifest: Manifest) -> None:
    recipe = recipe_from({"classes": {"cat": ["cat"], "dog": ["dog"]}})
    with pytest.raises(RecipeError, match="cat, dog"):
        draw_preview(manifest, recipe, 2, 2, 1)


def test_a_summary_counts_by_split_and_measures_boxes(manifest: Manifest) -> None:
    parts = summarize(manifest)
    assert [part.name for part in parts] == ["train", "test"]
    assert all(part.counts == {"normal": 2, "pneumonia": 2} for part in parts)
    assert parts[0].areas == pytest.approx([BOXED[2] * BOXED[3]] * 2)
    assert (parts[0].with_boxes, parts[0].without_boxes, parts[0].unknown) == (2, 0, 2)
    assert box_rows(parts)[0][:5] == ("train", "2", "2", "0", "2")
    assert set(box_rows(parts)[0][5:]) == {"15.0%"}
    label = "$x$\x1b[31m\N{CJK UNIFIED IDEOGRAPH-80BA}"  # of which the font has no last letter
    nasty = manifest.table.with_columns(label=pl.lit(label), boxes=pl.lit(None, pl.List(pl.List(pl.Float64))))
    figure = draw_summary(summarize(Manifest(nasty, manifest.folder)))
    figure.canvas.draw()
    assert [tick.get_text() for tick in figure.axes[0].get_yticklabels()] == [r"$x$\x1b[31m\u80ba"]
    assert len(figure.axes) == 2, "no boxes, no panel for them"


def in_a_process(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """What the command says, and at last what it has loaded."""
    code = (
        "import sys; from hilum.__main__ import main; sys.argv = ['hilum', *sys.argv[1:]]\n"
        "try: main()\n"
        "finally: print('loaded', *({'torch', 'matplotlib'} & set(sys.modules)), file=sys.stderr)"
    )
    command = [sys.executable, "-c", code, "data", "show", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_pictures_from_the_command_line(manifest: Manifest, tmp_path: Path) -> None:
    table = tmp_path / "set" / "manifest.parquet"
    save_manifest(manifest, table)
    sheet = in_a_process(table, "--png", tmp_path / "sheet.png")
    assert sheet.returncode == 0, sheet.stderr
    assert sheet.stderr.splitlines()[-1] == "loaded", "neither torch nor matplotlib"
    summary = run("data", "show", table, "--summary", "--png", tmp_path / "summary.png")
    assert summary.returncode == 0, summary.stderr
    assert "split\tboxes\tfilms with boxes" in summary.stdout
    preview = run("data", "show", table, "--as-trained", "default", "--png", tmp_path / "preview.png", "--count", "2")
    assert preview.returncode == 0, preview.stderr
    for name in ("sheet", "summary", "preview"):
        with Image.open(tmp_path / f"{name}.png") as drawn:
            assert drawn.width > 4 * SIDE or name == "summary"
    unnamed = run("data", "show", table, "--as-trained", "default")
    assert unnamed.returncode == 2 and "--png" in unnamed.stderr
    unknown = run("data", "show", table, "--as-trained", "defualt", "--png", tmp_path / "none.png")
    assert unknown.returncode == 1 and "recipe defualt" in unknown.stderr
    assert not (tmp_path / "none.png").exists()
