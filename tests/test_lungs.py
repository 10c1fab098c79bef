"""Lungs as a task of their own: masks learned and measured, lungs told apart, films cut to them, what covers them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from bundles import an_answer
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image
from sklearn.metrics import f1_score, jaccard_score

import hilum
from hilum.bundle.prediction import Box
from hilum.cli.predict.command import main
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.dataset.phantom.phantom import write_phantoms
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.graph import Fitted, Graph
from hilum.measures.masks import overlaps
from hilum.network.heads.lungs import believed
from hilum.network.network import Heads, create_network
from hilum.output.lungs import box_of_lungs, connected, covered, two_lungs
from hilum.radiograph.geometry import Geometry
from hilum.training.recipe import RecipeError, load_recipe, recipe_from

SIDE = 64
Masks = NDArray[np.bool_]


@given(st.integers(0, 2**32 - 1), st.floats(0.05, 0.95))
def test_dice_and_iou_are_those_of_scikit_learn(seed: int, share: float) -> None:
    random = np.random.default_rng(seed)
    found, truth = (random.random((3, 4, 5)) < share for _ in range(2))
    for film, (dice, iou) in enumerate(overlaps(found, truth)):
        pair = truth[film].ravel(), found[film].ravel()
        assert dice == pytest.approx(f1_score(*pair, zero_division=1.0))
        assert iou == pytest.approx(jaccard_score(*pair, zero_division=1.0))


def answer(mask: Masks, **changes: Any) -> hilum.Answered:
    given = {"geometry": Geometry("squash", 256, 256), "lungs": mask.astype(np.uint8) * 255, "heatmap": None}
    return an_answer(**given | {"height": 256, "width": 256} | changes)


def lungs(left: slice = slice(8, 28), right: slice = slice(36, 56), rows: slice = slice(16, 48)) -> Masks:
    mask = np.zeros((SIDE, SIDE), bool)
    mask[rows, left] = mask[rows, right] = True
    return mask


def test_both_lungs_are_told_apart_even_where_they_touch() -> None:
    apart = two_lungs(answer(lungs()))
    assert apart is not None
    assert np.flatnonzero(apart.left.any(0)).tolist() == list(range(8, 28))
    assert np.flatnonzero(apart.right.any(0)).tolist() == list(range(36, 56))
    touching = lungs()
    touching[30:32, 28:36] = True
    parted = two_lungs(answer(touching))
    assert (
        parted is not None and parted.left[20, 10] and parted.right[20, 50] and not (parted.left & parted.right).any()
    )
    one = lungs(left=slice(8, 28), right=slice(8, 28))
    nothing = np.ones((SIDE, SIDE), bool)  # what a network says that found no lungs
    for mask in (one, nothing):
        assert two_lungs(answer(mask)) is None and covered(answer(mask), "boxes") is None


def test_parts_are_those_that_a_walk_finds() -> None:
    random = np.random.default_rng(3)
    inside = random.random((12, 15)) < 0.5
    left = {(int(row), int(column)) for row, column in zip(*np.nonzero(inside), strict=True)}
    walked = []
    while left:
        ahead, seen = [left.pop()], set()
        while ahead:
            row, column = ahead.pop()
            seen.add((row, column))
            near = {(row + 1, column), (row - 1, column), (row, column + 1), (row, column - 1)} & left
            left -= near
            ahead += near
        walked.append(frozenset(seen))
    found = {frozenset(zip(*map(np.ndarray.tolist, np.nonzero(part)), strict=True)) for part in connected(inside)}
    assert found == set(walked)


def test_what_boxes_and_heatmaps_cover() -> None:
    upper = Box(0.0, 0.0, 0.45, 0.5, 0.9, "pneumonia")  # the upper half of the lung on the left
    both = covered(answer(lungs(), boxes=(upper, upper)), "boxes")
    assert both is not None and both[0] == pytest.approx(0.5) and both[1] == 0
    heat = np.full((SIDE, SIDE), -1, np.float32)
    heat[:, 32:] = 2.0
    assert covered(answer(lungs(), heatmap=heat), "heatmap") == (0.0, 1.0)
    assert covered(answer(lungs(), heatmap=np.full((8, 8), -1, np.float32)), "heatmap") == (0.0, 0.0)
    box = box_of_lungs(answer(lungs()))
    assert box == pytest.approx((8 / 64 - 0.03, 16 / 64 - 0.03, 56 / 64 + 0.03, 48 / 64 + 0.03))


def test_a_network_of_the_recipe_says_where_lungs_are_and_looks_once() -> None:
    recipe = load_recipe("lungs")
    assert recipe.heads.lungs == 0 and recipe.selection.metric == "dice"
    network = create_network("timm/test_efficientnet", 3, "none", heads=Heads(lungs=0), input_size=(64, 64), seed=1)
    films = torch.randint(0, 256, (2, 1, 64, 64), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    outputs = network.eval()(films.float() / 255)
    assert outputs.lungs is None and outputs.masks is not None and outputs.masks.shape == (2, 1, 16, 16)
    graph = Graph(network, Fitted([FilmFit(UNCALIBRATED)], [1]))
    given = dict(zip(graph.outputs, graph(films), strict=True))
    torch.testing.assert_close(given["lungs"], believed(outputs.masks.detach()).squeeze(1), atol=1e-4, rtol=1e-3)
    with pytest.raises(RecipeError, match=r"lungs.size = 8: at least 32, or 0"):
        recipe_from({"lungs": {"size": 8}})
    with pytest.raises(RecipeError, match=r"dice: is of lungs"):
        recipe_from({"selection": {"metric": "dice"}})


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Phantoms, and of each a copy with all but the lungs blackened, as the model in the box finds them."""
    folder = tmp_path_factory.mktemp("pairs")
    write_phantoms(folder / "films", 24, size=96)
    whole, _, _ = import_folder(folder / "films", processes=1)
    model, copies = hilum.load("default"), []
    (folder / "films" / "lungs").mkdir()
    studies = [f"study {place}" for place in range(whole.table.height)]
    for place, path in enumerate(whole.table["path"]):
        film = hilum.read(whole.path(path))
        found = model.predict(film, hilum.Asked(gate=False))
        assert isinstance(found, hilum.Answered)
        pixels = np.rint((0.2 + 0.8 * film.pixels) * (found.lungs_on_film(*film.pixels.shape) >= 0.5) * 255)
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "films" / f"lungs/{place}.png")
        copies.append(f"lungs/{place}.png")
    table = whole.table.with_columns(pl.Series("study", studies), pl.lit("test").alias("split"))
    alone = table.with_columns(
        pl.Series("path", copies), pl.lit("rsna-lungs").alias("source"), pl.lit(None, pl.String).alias("split")
    )
    save_manifest(Manifest(pl.concat([table, alone]), folder / "films"), folder / "films" / "pairs.parquet")
    return folder / "films" / "pairs.parquet"


def test_evaluation_measures_lungs_beside_the_copies(pairs: Path, tmp_path: Path) -> None:
    report = hilum.evaluate("default", pairs, split="test", out=tmp_path / "report")
    found = report.evaluation.lungs
    assert found is not None and len(found.rows) == 24
    assert found.figures["dice"].value == pytest.approx(1, abs=0.06), "agreement with the masks that the copies are of"
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "Lungs: are they where the masks say?" in page
    assert page.count("the same film with its lungs") == 6, "three that differ most, three by chance"


def test_predict_cuts_films_to_their_lungs(pairs: Path, tmp_path: Path) -> None:
    film = next((pairs.parent / "test").rglob("*.jpeg"))
    assert main([str(film), "--lungs", str(tmp_path / "cut"), "--no-gate"]) == 0
    with (tmp_path / "cut" / "lungs.csv").open(newline="", encoding="utf-8") as file:
        (row,) = csv.DictReader(file)
    assert row["two_lungs"] == "yes" and row["by"] == "boxes"
    with Image.open(tmp_path / "cut" / f"{film.name}.png") as cut, Image.open(film) as whole:
        assert cut.size == pytest.approx((float(row["width"]), float(row["height"])), abs=1)
        assert cut.width < whole.width and cut.height < whole.height
