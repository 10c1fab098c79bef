"""What a network is shown while it learns by a recipe: films as they are, and as the feed varies them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import polars as pl
import torch
from numpy.typing import NDArray
from PIL import Image

from hilum.dataset.contact_sheet import Cell, lay_out, sample_films
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.store.store import build_store
from hilum.network.heads.boxes import Boxes
from hilum.training.feed.examples import Examples, choose_examples
from hilum.training.feed.feed import Batch, Course, Feed, Shown
from hilum.training.feed.mosaic import mosaic
from hilum.training.prepare import wanted_of
from hilum.training.recipe import Recipe, RecipeError
from hilum.training.task.objective import mix

CPU = torch.device("cpu")


def draw_preview(manifest: Manifest, recipe: Recipe, count: int, columns: int, seed: int) -> Image.Image:
    """A row a film: as validation sees it, then as it is varied in the first epochs, `columns` pictures in all.

    The last picture of a row is a mosaic or a mixture of films where the recipe makes such. The films are those of the
    manifest that the recipe's classes name, the train split where there is one.
    """
    with tempfile.TemporaryDirectory() as folder:
        feed = _feed(manifest, recipe, count, seed, Path(folder))
        shown = [("as it is", _in_order(next(feed.in_order())))]
        blended = _blending(recipe, feed)
        for epoch in range(columns - 1 - (blended is not None)):
            shown.append((f"varied, epoch {epoch + 1}", _in_order(next(feed.batches(epoch)))))
        if blended is not None:
            shown.append(blended)
    cells = [
        _cell(batch, place, kind, _meaning(feed.examples, place, list(recipe.classes)) if not column else "")
        for place in np.argsort(feed.examples.targets, kind="stable")
        for column, (kind, batch) in enumerate(shown)
    ]
    return lay_out(cells, len(shown))


def _meaning(films: Examples, place: int, classes: list[str]) -> str:
    """What the network learns that a film shows."""
    may_be = [films.targets[place]] if films.either is None else np.flatnonzero(films.either[place])
    shown = " or ".join(classes[target] for target in may_be)
    return shown if films.boxes is None or films.boxes[place] is not None else f"{shown}, boxes unknown"


def _feed(manifest: Manifest, recipe: Recipe, count: int, seed: int, folder: Path) -> Feed:
    """The feed of a run on a few films, all of them in one batch."""
    table = manifest.table.filter(pl.col("error").is_null() & pl.col("file_digest").is_not_null())
    named = sorted({label for labels in recipe.classes.values() for label in labels})
    table = table.filter(pl.col("label").is_in(named))
    of_training = table.filter(side_of_film() == "train")
    chosen = sample_films(of_training if of_training.height else table, count, seed)
    if chosen.is_empty():
        raise RecipeError(f"no film that can be read has a label of the recipe's classes ({', '.join(recipe.classes)})")
    few = Manifest(chosen.with_columns(split=pl.lit("train")), manifest.folder)
    store = build_store(few, recipe.input.to_geometry(), folder, processes=1)
    examples = choose_examples(few, store, recipe.classes, ["train"], wanted_of(recipe))
    pixels = np.array(store.pixels)  # the store's folder goes before the pictures are drawn
    return Feed(Shown(pixels, examples, recipe.augmentation), len(examples), CPU, Course(recipe.training.seed))


def _in_order(batch: Batch) -> Batch:
    """The films of a shuffled batch in the order of the examples."""
    order = torch.from_numpy(np.argsort(batch.examples))
    boxes = None if batch.boxes is None else Boxes(*(part[order] for part in batch.boxes))
    return Batch(batch.films[order], batch.targets[order], batch.examples[np.argsort(batch.examples)], boxes)


def _blending(recipe: Recipe, feed: Feed) -> tuple[str, Batch] | None:
    """What the task makes of a varied batch before the network sees it, where it blends films."""
    place = (recipe.training.seed, 0, 0)
    if recipe.detector is not None and recipe.detector.mosaic:
        batch = _in_order(next(feed.batches(0)))
        assert batch.boxes is not None
        films, boxes = mosaic(batch.films, batch.boxes, len(batch.films), place)
        return f"mosaic, {recipe.detector.mosaic:.0%} of films", Batch(films, batch.targets, batch.examples, boxes)
    if recipe.loss.mixup:
        batch = _in_order(next(feed.batches(0)))
        films, _ = mix(batch.films, batch.targets, recipe.loss.mixup, len(recipe.classes), place)
        return "mixed with another film", Batch(films, batch.targets, batch.examples)
    return None


def _cell(batch: Batch, place: int, detail: str, title: str) -> Cell:
    levels = (batch.films[place, 0] * 255).round().to(torch.uint8).numpy()
    boxes: NDArray[np.float64] | None = None
    if batch.boxes is not None:
        height, width = levels.shape
        there = batch.boxes.corners[place][batch.boxes.present[place]]
        boxes = there.double().numpy() / [width, height, width, height]
    return Cell(levels, title, detail, boxes)
