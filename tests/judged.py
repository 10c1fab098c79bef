"""Made-up predictions for tests of figures: arrays as hypothesis thinks of them, and films that a bundle judges."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest


class Made(NamedTuple):
    """Probabilities, truths and patients of the same films."""

    probability: NDArray[np.float64]
    truth: NDArray[np.bool_]
    patients: NDArray[np.int64]


@st.composite
def made(draw: Any, least: int = 1, most: int = 40, both: bool = False) -> Made:
    """Few distinct probabilities, so that ties are the rule; with `both`, films of each class."""
    count = draw(st.integers(max(least, 2 if both else 1), most))
    levels = draw(st.sampled_from([3, 10, 1000]))
    probability = [draw(st.integers(0, levels)) / levels for _ in range(count)]
    truth = [draw(st.booleans()) for _ in range(count)]
    if both:
        truth[0], truth[-1] = True, False
    patients = [draw(st.integers(0, max(count // 2, 1))) for _ in range(count)]
    return Made(np.array(probability), np.array(truth), np.array(patients))


def random_films(count: int = 300, seed: int = 1, skill: float = 1.5) -> Made:
    random = np.random.default_rng(seed)
    truth = random.random(count) < 0.4
    probability = 1 / (1 + np.exp(-(random.normal(size=count) + skill * (truth - 0.5))))
    return Made(np.round(probability, 2), truth, random.integers(0, count // 2, count))


def write_data_set(folder: Path, films: int = 48) -> Path:
    """Films that the tiny bundle of `bundles` can judge: brighter ones have pneumonia, with some exceptions.

    Half of them are `train`, half `test`; there are two views, ages, and boxes on some. Returns the manifest.
    """
    random = np.random.default_rng(3)
    for number in range(films):
        sick = number % 2 == 0
        level = (60 if sick else 40) + random.integers(0, 60)
        kind = folder / ("test" if number % 4 < 2 else "train") / ("PNEUMONIA" if sick else "NORMAL")
        kind.mkdir(parents=True, exist_ok=True)
        levels = np.clip(level + random.normal(0, 4, (96, 80)), 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(kind / f"film{number:03}.png")
    manifest = import_folder(folder)[0]
    table = manifest.table
    rows = range(table.height)
    table = table.with_columns(
        split=pl.col("official_split"),
        patient=pl.Series([f"secret-{row // 2}" for row in rows]),
        view=pl.Series(["PA" if row % 3 else "AP" for row in rows]),
        age=pl.Series([float(row % 90) for row in rows]),
        boxes=pl.Series([[[0.2, 0.2, 0.3, 0.4]] if row % 2 else None for row in rows], dtype=table["boxes"].dtype),
        source=pl.Series(["here" if row % 5 < 3 else "there" for row in rows]),
        ward=pl.Series(["north" if row % 2 else "south" for row in rows]),
    )
    path = folder / "manifest.parquet"
    save_manifest(Manifest(table, folder), path)
    return path
