"""A detector is trained by the same loop: it learns, is chosen by boxes, and goes on where it was stopped."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hilum.dataset.store.store import Store
from hilum.network.network import Heads, create_network
from hilum.training.feed.examples import Examples
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.fit import Interrupted, fit
from hilum.training.observer import Event, Step
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe, RecipeError, load_recipe, recipe_from
from hilum.training.run import Run, create_run
from hilum.training.task.task import Task

CPU = torch.device("cpu")
SIDE, FILMS = 64, 24


QUERIES = {"kind": "queries", "queries": 12, "denoising": 12}


def recipe(epochs: int, mosaic: float, **detector: Any) -> Recipe:
    return recipe_from(
        {
            "classes": {"clear": ["normal"], "opacity": ["lung_opacity"]},
            "network": {"name": "timm/test_efficientnet", "weights": "none"},
            "input": {"height": SIDE, "width": SIDE},
            "detector": {
                "width": 16,
                "depth": 1,
                "levels": 2,
                "first_stride": 8,
                "anchor": 2.0,
                "ratios": [1.0, 1.2, 1.5],
                "mosaic": mosaic,
                **detector,
            },
            "augmentation": {"flip_horizontal": 0.5},
            "optimizer": {"name": "adam", "learning_rate": 3e-3},
            "phases": [{"epochs": epochs}],
            "training": {"batch_size": 8},
            "selection": {"metric": "ap50"},
        }
    )


def films() -> tuple[Any, Examples]:
    """Every second film has a bright square somewhere."""
    random = np.random.default_rng(2)
    pixels = random.integers(0, 60, (FILMS, SIDE, SIDE), np.uint8)
    boxes: list[Any] = []
    for number, film in enumerate(pixels):
        if number % 2:
            y, x = random.integers(4, SIDE - 24, 2)
            film[y : y + 18, x : x + 18] += 150
            boxes.append(np.array([[x, y, x + 18, y + 18]], np.float64))
        else:
            boxes.append(np.empty((0, 4)))
    return pixels, Examples(np.arange(FILMS), np.arange(FILMS) % 2, [""] * FILMS, FILMS, None, boxes)


def train(
    folder: Path, epochs: int, stop_at: int = 0, mosaic: float = 0.0, **detector: Any
) -> tuple[str, list[dict[str, float]]]:
    torch.set_num_threads(1)
    wanted = recipe(epochs, mosaic, **detector)
    assert wanted.detector is not None
    pixels, examples = films()
    network = create_network(
        wanted.network.name, 2, "none", heads=Heads(wanted.detector), dropout=0.2, input_size=(SIDE, SIDE), seed=1
    )
    task = Task(network, wanted, examples, CPU)
    feed = Feed(Shown(pixels, examples, wanted.augmentation), 8, CPU, Course(1))
    run = Run(folder) if folder.exists() else create_run(folder, wanted, {})
    steps: list[Event] = []

    def watch(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event)

    prepared = Prepared(task, feed, feed, Store(pixels, wanted.input.to_geometry(), folder, (), {}), {})
    history = fit(run, prepared, Processes(), observer=watch, asked_to_stop=lambda: len(steps) == stop_at)
    digest = hashlib.sha256()
    for tensor in network.state_dict().values():
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest(), history


def test_it_learns_where_squares_are(tmp_path: Path) -> None:
    _, history = train(tmp_path / "run", 30)
    assert history[-1]["train_loss"] < history[0]["train_loss"] / 2
    assert max(row["ap50"] for row in history) > 0.5
    assert history[-1].keys() >= {"ap50", "rsna_score", "auc", "accuracy", "loss"}
    for kept, row in zip(Run(tmp_path / "run").read_history(), history, strict=True):
        assert kept == pytest.approx(row, rel=1e-4)


@pytest.mark.parametrize("settings", [{"mosaic": 0.0}, {"mosaic": 0.5}, QUERIES], ids=["plain", "mosaic", "queries"])
def test_stopped_in_an_epoch_it_goes_on_bit_for_bit(tmp_path: Path, settings: dict[str, Any]) -> None:
    whole, history = train(tmp_path / "whole", 2, **settings)
    assert history[-1].keys() >= {"ap50", "rsna_score", "auc", "loss"}
    with pytest.raises(Interrupted):
        train(tmp_path / "stopped", 2, stop_at=2, **settings)
    assert train(tmp_path / "stopped", 2, **settings)[0] == whole


def test_shipped_detectors_are_recipes_and_wrong_ones_are_told() -> None:
    published = load_recipe("retinanet-published").detector
    assert published is not None
    assert published.strides == [8, 16, 32, 64, 128]
    assert load_recipe("boxes").selection.metric == "ap50"
    with pytest.raises(RecipeError, match="did you mean levels"):
        recipe_from({"detector": {"level": 3}})
    with pytest.raises(RecipeError, match="no \\[detector\\]"):
        recipe_from({"selection": {"metric": "ap50"}})
    with pytest.raises(RecipeError, match="from the store"):
        recipe_from({"detector": {}, "training": {"feed": "torchvision"}})
    with pytest.raises(RecipeError, match="must be a number from 0 to"):
        recipe_from({"detector": {"mosaic": 0.8}})
