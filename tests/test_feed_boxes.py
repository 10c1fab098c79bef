"""Boxes go where the pixels of their films go, and films of unknown boxes stay unknown."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from hilum.dataset.manifest.manifest import SCHEMA, Manifest
from hilum.dataset.store.store import Store
from hilum.radiograph.geometry import Geometry
from hilum.training.feed.boxes import boxes_in_picture
from hilum.training.feed.examples import Examples, Wanted, choose_examples
from hilum.training.feed.feed import Batch, Course, Feed, Shown
from hilum.training.variation.augment import Augmentation

CPU = torch.device("cpu")
VARIED = Augmentation(
    flip_horizontal=0.5, flip_vertical=0.5, rotation=0, zoom=(0.8, 1.3), translation=0.1, area=(0.5, 1.0)
)


def patch_feed(seed: int, augmentation: Augmentation) -> Feed:
    """Black films with one white rectangle each, which is their box."""
    random = np.random.default_rng(seed)
    pixels = np.zeros((8, 96, 128), np.uint8)
    boxes: list[np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None] = []
    for film in pixels:
        left, top = random.integers(8, 64), random.integers(8, 40)
        right, bottom = left + random.integers(16, 48), top + random.integers(16, 40)
        film[top:bottom, left:right] = 255
        boxes.append(np.array([[left, top, right, bottom]], np.float64))
    examples = Examples(np.arange(8), np.zeros(8, np.int64), [""] * 8, 8, None, boxes)
    return Feed(Shown(pixels, examples, augmentation), 8, CPU, Course(seed))


def first(feed: Feed, epoch: int) -> Batch:
    return next(feed.batches(epoch))


@given(st.integers(0, 1000), st.integers(0, 20))
@settings(max_examples=30, deadline=None)
def test_pixels_and_boxes_move_together(seed: int, epoch: int) -> None:
    batch = first(patch_feed(seed, VARIED), epoch)
    assert batch.boxes is not None
    for film, corners, present in zip(batch.films[:, 0], batch.boxes.corners, batch.boxes.present, strict=True):
        rows, columns = torch.nonzero(film > 0.5, as_tuple=True)
        if not present.any():
            continue  # less than a third of it is still in the frame
        seen = torch.tensor([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
        assert (corners[0] - seen).abs().max() <= 1.5


def test_a_box_leaves_only_with_its_pixels() -> None:
    shift = Augmentation(translation=0.9)
    batch = first(patch_feed(3, shift), 2)
    assert batch.boxes is not None
    left = ~batch.boxes.present.any(1) if batch.boxes.present.shape[1] else torch.ones(8, dtype=torch.bool)
    visible = (batch.films > 0.5).flatten(1).sum(1)
    assert left.any()
    assert visible[left].max() < visible[~left].max()


def test_validation_shows_boxes_as_they_are() -> None:
    feed = patch_feed(1, VARIED)
    batch = next(feed.in_order())
    assert batch.boxes is not None
    assert feed.examples.boxes is not None
    expected = np.concatenate([np.asarray(boxes) for boxes in feed.examples.boxes])
    assert np.allclose(batch.boxes.corners[:, 0], expected)


def test_boxes_come_from_the_manifest_through_the_geometry(tmp_path: Path) -> None:
    films = [("known", [[0.25, 0.5, 0.5, 0.25]], "lung_opacity"), ("none", [], "normal"), ("unknown", None, "typical")]
    table = pl.DataFrame(
        [
            {"path": f"{name}.png", "file_digest": name, "label": label, "patient": name, "split": "train"}
            | {"boxes": boxes, "height": 200, "width": 100}
            for name, boxes, label in films
        ],
        schema=SCHEMA,
    )
    store = Store(np.zeros((3, 64, 64), np.uint8), Geometry("fit", 64, 64), tmp_path, ("known", "none", "unknown"), {})
    classes = {"clear": ["normal"], "opacity": ["lung_opacity", "typical"]}
    examples = choose_examples(Manifest(table, tmp_path), store, classes, ["train"], Wanted(boxes=True))
    assert examples.boxes is not None
    told = dict(zip(examples.paths, examples.boxes, strict=True))
    # The film is 32 pixels wide in the middle of 64.
    assert np.allclose(np.asarray(told["known.png"]), [[16 + 8, 32, 16 + 24, 48]])
    none = told["none.png"]
    assert none is not None
    assert len(none) == 0
    assert told["unknown.png"] is None
    batch = next(Feed(Shown(store.pixels, examples, Augmentation()), 3, CPU).in_order())
    assert batch.boxes is not None
    known = dict(zip(examples.paths, batch.boxes.known.tolist(), strict=True))
    assert known == {"known.png": True, "none.png": True, "unknown.png": False}


def test_boxes_dragged_over_the_edge_are_cut_at_it() -> None:
    inside = boxes_in_picture([[-0.1, 0.9, 0.3, 0.3], [1.2, 0.1, 0.3, 0.3]], 100, 100, Geometry("squash", 64, 64))
    assert inside is not None
    assert np.allclose(inside, [[0, 57.6, 12.8, 64]])
