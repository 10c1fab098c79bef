"""Runs to export: phantoms, a small network, and what `hilum train` would have written of it, without the training."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import torch
from torch import nn
from torch.nn import functional

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.phantom.phantom import write_phantoms
from hilum.dataset.store.store import build_store
from hilum.network import create_network
from hilum.training.checkpoint import write_state
from hilum.training.feed.examples import choose_examples
from hilum.training.recipe import Recipe, recipe_from
from hilum.training.run import Run, create_run

FILMS = 110


def phantom_manifest(folder: Path, films: int = FILMS) -> Path:
    """Phantoms of 64 pixels in a manifest, every fifth patient in the train split, the others in val."""
    write_phantoms(folder, films, size=64)
    manifest, _, _ = import_folder(folder, processes=1)
    order = {patient: number for number, patient in enumerate(sorted(set(manifest.table["patient"])))}
    splits = ["val" if order[patient] % 5 else "train" for patient in manifest.table["patient"]]
    path = folder / "manifest.parquet"
    save_manifest(Manifest(manifest.table.with_columns(pl.Series("split", splits)), folder), path)
    return path


def make_run(
    folder: Path, manifest: Path, network: str, side: int, head: str = "linear", steps: int = 15, **sections: object
) -> Run:
    """A run whose kept weights have learned from all films for so many steps."""
    recipe = recipe_from(
        {
            "title": "a run for tests",
            "network": {"name": network, "weights": "none", "head": head},
            "input": {"height": side, "width": side},
            "phases": [{"epochs": 2}],
            **sections,
        }
    )
    facts = {
        "recipe": "0123456789abcdef",
        "data": load_manifest(manifest).digest,
        "manifest": str(manifest),
        "weights": "random",
        **dict.fromkeys(("hilum", "torch", "torchvision", "timm"), "0.1"),
    }
    run = create_run(folder, recipe, facts)
    weights = learned_weights(recipe, load_manifest(manifest), steps)
    write_state(run.best, {"network": weights, "epoch": 2, "figures": {"auc": 0.5, "loss": 0.7}})
    return run


def learned_weights(recipe: Recipe, manifest: Manifest, steps: int) -> dict[str, torch.Tensor]:
    store = build_store(manifest, recipe.input.to_geometry(), processes=1)
    seen = choose_examples(manifest, store, recipe.classes, ["train", "val"])
    films = torch.from_numpy(store.pixels[seen.rows])[:, None].float() / 255
    targets = torch.from_numpy(seen.targets)
    network, size = recipe.network, recipe.input.size
    made = create_network(
        network.name, len(recipe.classes), "none", head=network.head, input_size=size, heads=recipe.heads, seed=7
    )
    torch.manual_seed(7)
    for module in made.modules():
        if isinstance(module, (nn.Conv2d, nn.Linear)):  # a start from which few steps are enough
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    optimizer = torch.optim.Adam(made.parameters(), 1e-3)
    for _ in range(steps):
        batch = torch.randperm(len(films))[:32]
        optimizer.zero_grad()
        functional.cross_entropy(made.train()(films[batch]).film, targets[batch]).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
    for module in made.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None  # plain averages, since the running ones are still near their start
            module.reset_running_stats()
    with torch.no_grad():
        made(films)
    return made.state_dict()
