"""A network that no bundle can hold is refused before it is trained; what passed once is not tried again."""

from __future__ import annotations

from pathlib import Path

import onnx
import pytest
from exported import phantom_manifest

import hilum
from hilum.bundle.card import BundleError
from hilum.bundle.trust.operators import ALLOWED
from hilum.export.graph import trial
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Graph
from hilum.training.recipe import Recipe, load_recipe


def recipe(name: str, side: int) -> Recipe:
    sides = [f"input.height={side}", f"input.width={side}"]
    return load_recipe("default", [f"network.name={name}", "network.weights=none", *sides])


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "cache"))


def test_what_no_bundle_can_hold_is_refused_before_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "ALLOWED", ALLOWED - {b"Conv"})
    settings = {"network.name": "test_resnet", "network.weights": "none", "input.height": 32, "input.width": 32}
    films = phantom_manifest(tmp_path / "films")
    with pytest.raises(BundleError) as told:
        hilum.train(films, settings=settings, out=tmp_path / "run", device="cpu")
    assert str(told.value) == (
        "this run cannot end in a bundle: test_resnet cannot be written as ONNX: it needs the operator Conv, which no "
        "bundle may hold; train another network, or train without a bundle: --no-bundle, in Python bundle=False"
    )
    assert not (tmp_path / "run").exists()


def test_what_can_be_written_is_tried_once(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[str] = []

    def write(graph: Graph) -> onnx.ModelProto:
        tried.append(graph.name)
        return as_onnx(graph)

    monkeypatch.setattr(trial, "as_onnx", write)
    for name in ("test_resnet", "test_resnet", "resnet18"):
        trial.check_writable(recipe(name, 32))
    assert tried == ["timm/test_resnet"]


def test_what_says_something_else_as_onnx_or_is_too_large_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "APART", -1.0)
    with pytest.raises(BundleError, match="test_resnet cannot be written as ONNX: it says something else there"):
        trial.check_writable(recipe("test_resnet", 32))
    monkeypatch.setattr(trial, "MAX_FILE_BYTES", 1000)
    with pytest.raises(BundleError, match=r"its weights take 0\.0 GB, and a bundle"):
        trial.check_writable(recipe("test_resnet", 32))
