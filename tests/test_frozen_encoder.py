"""A frozen encoder: features once, heads in seconds, a bundle of encoder and head."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SOAK
from exported import phantom_manifest
from safetensors.torch import save_file
from sklearn.linear_model import LogisticRegression
from small_networks import make_small
from torch import nn

import hilum
from hilum.bundle.asked import Asked
from hilum.bundle.prediction import Answered
from hilum.export.train import TrainedSweep
from hilum.network import WeightsError, create_network
from hilum.network.view import create_head
from hilum.training.recipe import RecipeError, load_recipe
from hilum.training.run import Run
from hilum.training.task import frozen

pytestmark = pytest.mark.usefixtures("exports_remembered")
SIDE = 64


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_manifest(tmp_path_factory.mktemp("frozen") / "films")


@pytest.fixture(scope="module", autouse=True)
def _small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        if not SOAK:  # there a whole ViT-B is
            make_small(patch)
        yield


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ViT-B of random weights, as a file that somebody else wrote."""
    from hilum.network import timm_networks

    torch.manual_seed(0)
    net = timm_networks.create("vit_base_patch16_224", (224, 224))
    file = tmp_path_factory.mktemp("weights") / "encoder.safetensors"
    save_file(net.state_dict(), file, {"hilum.origin": "an encoder of films", "license": "CC BY-NC 4.0"})
    return file


def settings(weights: Path) -> dict[str, object]:
    return {
        "network.name": "vit_base_patch16_224",
        "network.weights": str(weights),
        "input.height": SIDE,
        "input.width": SIDE,
    }


@pytest.mark.soak
def test_a_sweep_looks_at_films_once_and_its_best_becomes_a_bundle(
    manifest: Path, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[int] = []
    body = nn.Sequential.__call__

    def count(module: Any, *given: Any) -> Any:
        looked.append(len(given[0])) if hasattr(module, "taps") else None
        return body(module, *given)

    monkeypatch.setattr("hilum.network.body.Body.__call__", count)
    swept = hilum.train(
        manifest,
        recipe="frozen-encoder",
        settings=settings(weights),
        sweep={"network.head": ["linear", "mlp"], "frozen.regularization": [1e-3, 0.1]},
        out=tmp_path / "sweep",
        device="cpu",
    )
    assert isinstance(swept, TrainedSweep) and sum(films for films in looked if films > 2) == 110
    rows = swept.rows()
    assert [row["reason"] for row in rows] == [""] * 4
    for row in rows:
        assert float(row["auc_low"]) <= float(row["auc"]) <= float(row["auc_high"])
    monkeypatch.undo()

    run = hilum.train(manifest, recipe="frozen-encoder", settings=settings(weights), out=tmp_path / "run", device="cpu")
    assert run.bundle is not None, run.reason
    bundle = hilum.load(run.bundle)
    assert bundle.card.heatmap == "Grad-CAM"
    assert any("an encoder of films, CC BY-NC 4.0" in note for note in bundle.card.notes)
    assert any("CC BY-NC 4.0" in limit for limit in bundle.card.limits)
    prediction = bundle.predict(next(manifest.parent.rglob("*.jpeg")), Asked(gate=False))
    assert isinstance(prediction, Answered) and prediction.heatmap is not None
    again = hilum.train(resume=tmp_path / "run", device="cpu")
    assert again.history == Run(tmp_path / "run").read_history()


def test_the_linear_head_is_logistic_regression() -> None:
    random = np.random.default_rng(1)
    features = random.normal(3, [1.0, 20.0, 0.1, 5.0], (200, 4)).astype(np.float32)
    truth = (features[:, 0] + 0.05 * features[:, 1] + random.normal(0, 1, 200) > 3.2).astype(np.int64)
    recipe = load_recipe("frozen-encoder", ["frozen.regularization=0.01"])
    torch.manual_seed(1)
    head = create_head("linear", 4, 2, 0.0)
    frozen.fit_layers(head, torch.from_numpy(features), torch.from_numpy(truth), recipe, None)
    with torch.no_grad():
        given = head(torch.from_numpy(features)).softmax(1)[:, 1].numpy()
    # Two logits that share a slope each carry half of it, so the penalty of both is half that of one.
    standard = (features - features.mean(0)) / features.std(0, ddof=1)
    reference = LogisticRegression(C=2 / (0.01 * 200), max_iter=1000).fit(standard, truth)
    np.testing.assert_allclose(given, reference.predict_proba(standard)[:, 1], atol=2e-3)


def test_weights_of_a_hub_are_tensors_of_a_commit_with_its_license(
    weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "README.md"
    page.write_text("---\nlicense: other\nlicense_name: msrla\nlicense_link: LICENSE\n---\n# An encoder\n")
    asked: list[tuple[str, str, str]] = []

    def download(repository: str, file: str, *, revision: str) -> str:
        asked.append((repository, file, revision))
        if repository == "gone/away":
            raise OSError("no such repository\nread the docs")
        return str(page if file == "README.md" else weights)

    monkeypatch.setattr("huggingface_hub.hf_hub_download", download)
    commit = "0123456789abcdef" * 2 + "01234567"
    named = f"hub:some/encoder@{commit}"
    network = create_network("vit_base_patch16_224", 2, named, input_size=(SIDE, SIDE))
    assert network.origin == "some/encoder at 0123456789ab, msrla, LICENSE, new head"
    assert network.terms == "msrla, LICENSE"
    assert asked == [("some/encoder", "model.safetensors", commit), ("some/encoder", "README.md", commit)]
    with pytest.raises(WeightsError, match=r"cannot be had \(no such repository\); give a .safetensors file instead"):
        create_network("vit_base_patch16_224", 2, f"hub:gone/away@{commit}", input_size=(SIDE, SIDE))
    for wrong in ("hub:some/encoder", "hub:some/encoder@main", f"hub:some/encoder/model.bin@{commit}"):
        with pytest.raises(WeightsError, match="all 40 digits of the commit"):
            create_network("vit_base_patch16_224", 2, wrong, input_size=(SIDE, SIDE))


def test_what_does_not_go_together_is_one_line() -> None:
    for lines, words in (
        (["phases.0.epochs=3"], r'frozen: has one phase of one epoch, with train = "head"'),
        (["loss.mixup=0.2"], "frozen: films are looked at once"),
        (["opacity.weight=1.0"], "frozen: fits a head for films alone"),
    ):
        with pytest.raises(RecipeError, match=words):
            load_recipe("frozen-encoder", lines)
