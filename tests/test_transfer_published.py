"""The study of 12 networks and 5 optimizers: each of them is trained by the recipe, through what the command calls."""

from __future__ import annotations

import math
from pathlib import Path

import polars as pl
import pytest
import torch

import hilum
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.dataset.phantom.phantom import write_phantoms
from hilum.training.prepare import network_of
from hilum.training.recipe import load_recipe

# Small films, so that a step is quick; Inception's auxiliary head needs films of its own size, which are the default.
SMALL = {
    "alexnet": 64,
    **dict.fromkeys(("vgg11", "vgg13", "vgg16", "vgg19"), 32),
    **dict.fromkeys(("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"), 32),
    "googlenet": 32,
    "inception_v3": None,
}
PUBLISHED = ("adam", "sgd", "rmsprop", "adagrad", "adadelta")


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films to learn from, one of each class, and two to choose by."""
    folder = tmp_path_factory.mktemp("transfer")
    write_phantoms(folder, 12, size=64)
    films = import_folder(folder, processes=1)[0]
    table = films.table.filter(pl.col("label").is_in(["normal", "bacterial"]))
    first = table.group_by("label", maintain_order=True).head(2)  # two of one, two of the other
    splits = first.with_columns(
        split=pl.when(pl.int_range(pl.len()).over("label") == 0).then(pl.lit("train")).otherwise(pl.lit("val"))
    )
    save_manifest(Manifest(splits, folder), folder / "manifest.parquet")
    return folder / "manifest.parquet"


@pytest.fixture
def learned(monkeypatch: pytest.MonkeyPatch) -> dict[str, torch.Tensor]:
    """The weights of the last checkpoint, instead of a gigabyte on disk for each VGG; those have tests of theirs."""
    weights: dict[str, torch.Tensor] = {}
    monkeypatch.setattr("hilum.training.fit.save_checkpoint", lambda _, step, state: weights.update(state["network"]))
    monkeypatch.setattr("hilum.training.fit.write_state", lambda path, state: None)
    monkeypatch.setattr("hilum.training.session.draw_curves", lambda history, recipe, path: None)
    return weights


@pytest.mark.parametrize(
    ("network", "optimizer"),
    [*((name, "sgd") for name in SMALL), *(("resnet18", name) for name in PUBLISHED if name != "sgd")],
)
def test_every_network_and_optimizer_learns_in_a_step(
    network: str, optimizer: str, manifest: Path, tmp_path: Path, learned: dict[str, torch.Tensor]
) -> None:
    settings = [f"network.name={network}", "network.weights=none", f"optimizer.name={optimizer}"]
    settings += ["phases.0.epochs=1", "training.batch_size=2"]
    if side := SMALL[network]:
        settings += [f"input.height={side}", f"input.width={side}"]
    trained = hilum.train(
        manifest, recipe="transfer-published", settings=settings, out=tmp_path / "run", device="cpu", bundle=False
    )
    assert [math.isfinite(row["train_loss"]) for row in trained.history] == [True]
    before = network_of(load_recipe("transfer-published", settings)).state_dict()
    weights = [name for name, tensor in before.items() if tensor.is_floating_point() and "running" not in name]
    assert len(weights) > 10
    assert not [name for name in weights if torch.equal(before[name], learned[name])]
