"""Transformers, lungs and boxes by queries train in two processes, in bf16 and compiled as they do in plain steps."""

from __future__ import annotations

import copy
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SOAK
from small_networks import make_small
from test_multi_scale import NAME, small_parts
from torch import nn

from hilum.dataset.store.store import Store
from hilum.network.backbone import BACKBONES, find_backbone
from hilum.network.body import Parts
from hilum.training.checkpoint import read_state
from hilum.training.feed.examples import Examples, Facts
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.fit import fit, layout_of
from hilum.training.prepare import Prepared, network_of
from hilum.training.processes import Processes, join_processes
from hilum.training.recipe import recipe_from
from hilum.training.run import Run, create_run
from hilum.training.task.task import Task

CPU = torch.device("cpu")
SIDE, FILMS = 64, 8
SMALL = "timm/test_efficientnet"
QUERIES = {"kind": "queries", "queries": 12, "denoising": 12, "width": 16, "depth": 1, "levels": 2, "first_stride": 8}
VIEWS = {"lungs": {"size": SIDE}, "opacity": {}, "group": {}}
KINDS: dict[str, dict[str, Any]] = {
    "vit": {"network": {"name": "vit_tiny_patch16_224"}},
    "convnext": {"network": {"name": "test_convnext"}},
    "multi-scale": {
        "network": {"name": "small_multi_scale", "head": "two_linear"},
        "input": {"height": 32, "width": 32},
    },
    "lungs": {"network": {"name": SMALL}, "lungs": {"size": 0}},
    "views": {"network": {"name": SMALL}, **VIEWS},
    "queries": {"network": {"name": SMALL}, "detector": QUERIES},
}
BATCH = {"vit": 7}  # so that the second batch has a single film, and one of two processes none; of others 4
EXACT = ("vit", "convnext", "multi-scale")  # nothing is drawn in them and no statistics of a batch are taken


def steady_parts(size: tuple[int, int]) -> Parts:
    parts = small_parts(size)
    for module in parts.body.modules():
        if isinstance(module, (nn.Dropout, nn.MultiheadAttention)):
            setattr(module, "p" if isinstance(module, nn.Dropout) else "dropout", 0.0)
    return parts


def make_networks_small(patch: pytest.MonkeyPatch) -> None:
    make_small(patch)
    backbone = find_backbone(NAME)
    small = replace(backbone, name="small_multi_scale", build=lambda size, classes: steady_parts(size))
    patch.setitem(BACKBONES, small.name, small)


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        make_networks_small(patch)
        yield


def films(side: int, *, views: bool, boxes: bool) -> tuple[Any, Examples]:
    """Every second film has a bright square somewhere; all but a part of the second half is black."""
    random = np.random.default_rng(2)
    pixels = random.integers(20, 60, (FILMS, side, side), np.uint8)
    drawn: list[Any] = []
    for number, film in enumerate(pixels):
        y, x = random.integers(2, side // 2, 2)
        film[y : y + side // 4, x : x + side // 4] += np.uint8(150 * (number % 2))
        corners = [[x, y, x + side // 4, y + side // 4]]
        drawn.append(np.array(corners * (number % 2), np.float64).reshape(-1, 4))
    numbers, facts = np.arange(FILMS), None
    if views:
        alone = numbers >= FILMS // 2
        pixels[alone, :, : side // 4] = 0
        masks, unknown = np.where(alone, numbers, numbers + FILMS // 2), np.full(FILMS, -1, np.int8)
        facts = Facts(["here"] * FILMS, ["normal"] * FILMS, alone, masks, unknown, (numbers % 2).astype(np.int8))
    shown = drawn if boxes or views else None
    return pixels, Examples(numbers, numbers % 2, [""] * FILMS, FILMS, None, shown, facts)


def trained(kind: str, folder: Path, processes: Processes = Processes(), **settings: Any) -> tuple[Run, Any]:  # noqa: B008
    """A run of one epoch, and its row; only the leading process is given one."""
    torch.set_num_threads(1)
    sections = {"input": {"height": SIDE, "width": SIDE}, **copy.deepcopy(KINDS[kind])}
    sections["network"] |= {"weights": "none", "dropout": 0.0}
    phases = [{"epochs": 1, "train": "head" if kind == "multi-scale" else "all"}]
    training = {"batch_size": BATCH.get(kind, 4), **settings}
    recipe = recipe_from({**sections, "phases": phases, "training": training, "optimizer": {"learning_rate": 1e-3}})
    pixels, examples = films(recipe.input.size[0], views="lungs" in sections, boxes="detector" in sections)
    task = Task(network_of(recipe), recipe, examples, CPU)
    shown = Shown(pixels, examples, recipe.augmentation)
    train = Feed(shown, recipe.training.batch_size, CPU, Course(1, processes.rank, processes.count))
    run = create_run(folder, recipe, {}) if processes.leads else Run(folder)
    store = Store(pixels, recipe.input.to_geometry(), folder, (), {})
    history = fit(run, Prepared(task, train, Feed(shown, FILMS, CPU), store, {}), processes)
    return run, history[0]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, float]]:
    folder = tmp_path_factory.mktemp("plain")
    return {kind: trained(kind, folder / kind)[1] for kind in KINDS}


def test_two_processes_have_the_losses_of_one(plain: dict[str, dict[str, float]], tmp_path: Path) -> None:
    """Every weight has a part in every step, or DDP ends the run: so where a process has no whole film in its share."""
    tests = Path(__file__).parent
    two = [sys.executable, str(tests / "ranks.py"), str(tests / "modes_in_two.py"), str(tmp_path)]
    path = os.pathsep.join([str(tests), *sys.path])
    answer = subprocess.run(two, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": path})
    assert answer.returncode == 0, answer.stderr
    for kind, alone in plain.items():
        (row,) = Run(tmp_path / kind).read_history()
        assert np.isfinite([row["train_loss"], row["loss"]]).all()
        if kind in EXACT:
            expected = [alone["train_loss"], alone["loss"]]
            np.testing.assert_allclose([row["train_loss"], row["loss"]], expected, rtol=1e-4, err_msg=kind)


def train_all_in_two(folder: Path) -> None:
    """What each of the two processes does."""
    processes = join_processes(CPU)
    with pytest.MonkeyPatch.context() as patch:
        make_networks_small(patch)
        for kind in KINDS:
            trained(kind, folder / kind, processes)


@pytest.mark.parametrize("kind", KINDS)
def test_bf16_has_nearly_the_losses_of_float32(kind: str, plain: dict[str, dict[str, float]], tmp_path: Path) -> None:
    row = trained(kind, tmp_path / "run", precision="bf16")[1]
    for name in ("train_loss", "loss"):
        assert row[name] == pytest.approx(plain[kind][name], rel=0.03)


@pytest.mark.soak
@pytest.mark.parametrize("kind", ["queries", "vit", "multi-scale"] if SOAK else ["queries"])
def test_compiled_steps_are_the_same(
    kind: str, plain: dict[str, dict[str, float]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Traced by torch.compile and run by torch itself: making machine code of them takes minutes."""
    whole = nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda module: whole(module, backend="eager"))
    run, row = trained(kind, tmp_path / "run", compile=True)
    assert [row["train_loss"], row["loss"]] == pytest.approx([plain[kind]["train_loss"], plain[kind]["loss"]], rel=1e-5)
    kept = read_state(run.best, CPU)["network"]
    assert kept.keys() == network_of(run.recipe()).state_dict().keys()


@pytest.mark.soak
@pytest.mark.skipif(not SOAK, reason="makes machine code, which takes minutes: make soak")
def test_machine_code_has_the_losses_of_plain_steps(plain: dict[str, dict[str, float]], tmp_path: Path) -> None:
    row = trained("vit", tmp_path / "run", compile=True)[1]
    assert [row["train_loss"], row["loss"]] == pytest.approx(
        [plain["vit"]["train_loss"], plain["vit"]["loss"]], rel=1e-4
    )


def test_channels_do_not_lie_last_where_onednn_would_write_past_its_memory() -> None:
    recipe = recipe_from({"classes": {"a": ["normal"], "b": ["viral"]}})
    safe, unsafe = nn.Conv2d(16, 8, 1, 2), nn.Conv2d(3, 8, 1, 2)
    assert layout_of(nn.Sequential(safe), recipe, CPU) == torch.channels_last
    assert layout_of(nn.Sequential(safe, unsafe), recipe, CPU) == torch.contiguous_format
    assert layout_of(nn.Sequential(unsafe), recipe, torch.device("cuda")) == torch.channels_last
