"""timm's transformers and hybrids go the whole way: trained, resumed, exported, asked for heatmaps, evaluated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from conftest import SOAK
from exported import phantom_manifest
from hypothesis import given
from hypothesis import settings as of_hypothesis
from hypothesis import strategies as st
from safetensors.torch import save_file
from small_networks import SMALL, make_small
from timm.layers.drop import DropPath
from torch.nn import functional

import hilum
from hilum.bundle.asked import Asked
from hilum.bundle.card import BundleError
from hilum.bundle.prediction import Answered
from hilum.network import create_network
from hilum.network.weights import WeightsError
from hilum.training.checkpoint import read_state
from hilum.training.fit import Interrupted
from hilum.training.optimizer import make_optimizer
from hilum.training.recipe import RecipeError, load_recipe
from hilum.training.run import Run

pytestmark = pytest.mark.usefixtures("exports_remembered", "small")
CLASS_TOKEN, AVERAGE = "Grad-CAM", "class activation map"
KINDS = {
    "vit_small_patch14_reg4_dinov2": CLASS_TOKEN,
    "swin_tiny_patch4_window7_224": AVERAGE,
    "vit_tiny_patch16_224": CLASS_TOKEN,
    "deit_tiny_patch16_224": CLASS_TOKEN,
    "maxvit_tiny_rw_224": AVERAGE,
    "efficientvit_b0": "none",
    "fastvit_t8": AVERAGE,
    "test_convnext": "Grad-CAM",
}


@pytest.fixture(scope="module")
def small() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        make_small(patch)
        yield


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return phantom_manifest(tmp_path_factory.mktemp("transformers") / "films")


def side(name: str) -> int:
    return 56 if "patch14" in name else 64


def weights_of(folder: Path) -> dict[str, torch.Tensor]:
    state = read_state(Run(folder).best, torch.device("cpu"))
    return dict(state["network"])


@pytest.mark.soak
@pytest.mark.parametrize("name", KINDS if SOAK else [*KINDS][:2])
def test_the_whole_way(name: str, manifest: Path, tmp_path: Path) -> None:
    settings = {
        "network.name": name,
        "network.weights": "none",
        "network.drop_path": 0.1 if name != "efficientvit_b0" else 0.0,
        "input.height": side(name),
        "input.width": side(name),
        "training.batch_size": 8,
        "training.ema": 0.0,
        "optimizer.learning_rate": 3e-3,
        "optimizer.body_factor": 0.5,
        "phases.0.epochs": 2,
        "loss.label_smoothing": 0.0,
    }
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 5

    whole = hilum.train(
        manifest, recipe="vision-transformer", settings=settings, out=tmp_path / "whole", device="cpu", bundle=False
    )
    with pytest.raises(Interrupted):
        hilum.train(
            manifest, recipe="vision-transformer", settings=settings, out=tmp_path / "run", device="cpu", stop=stop
        )
    trained = hilum.train(resume=tmp_path / "run", device="cpu")
    before, after = weights_of(whole.folder), weights_of(trained.folder)
    assert all(torch.equal(before[key], after[key]) for key in before)

    assert trained.bundle is not None, trained.reason
    bundle = hilum.load(trained.bundle)
    assert bundle.card.heatmap.startswith(KINDS[name])
    film = next((manifest.parent).rglob("*.jpeg"))
    prediction = bundle.predict(film, Asked(gate=False))
    assert isinstance(prediction, Answered)
    assert (prediction.heatmap is None) == (KINDS[name] == "none")
    if KINDS[name] == CLASS_TOKEN:  # a graph keeps projections of attention otherwise than the network does
        with pytest.raises(BundleError, match=r"go on from its run instead") as refused:
            hilum.train(manifest, start=trained.bundle, out=tmp_path / "on", device="cpu")
        assert "\n" not in str(refused.value) and not (tmp_path / "on").exists()
    report = hilum.evaluate(bundle, manifest, split="val", allow_training_films=True)
    assert "auroc" in json.dumps(report.to_dict())


def test_the_recipe_slows_early_layers_and_leaves_blocks_out() -> None:
    recipe = load_recipe("vision-transformer")
    network = create_network("vit_tiny_patch16_224", 2, "none", drop_path=recipe.network.drop_path, seed=1)
    optimizer = make_optimizer(recipe, recipe.phases[0], network.layer_groups())
    rates = [group["lr"] for group in optimizer.param_groups]
    factors = np.diff(np.log(rates))
    assert rates[-1] == recipe.optimizer.learning_rate
    assert rates[0] == pytest.approx(rates[-1] * recipe.optimizer.body_factor)
    np.testing.assert_allclose(factors, factors[0])
    assert [module.drop_prob for module in network.modules() if isinstance(module, DropPath)] == pytest.approx(
        [0.1, 0.1]
    )
    films = torch.rand(8, 1, 224, 224)
    torch.manual_seed(1)
    assert not torch.equal(network.train()(films).film, network(films).film)
    assert torch.equal(network.eval()(films).film, network(films).film)
    # timm's Swin leaves blocks out unless it is told not to.
    swin = create_network("swin_tiny_patch4_window7_224", 2, "none", seed=1).train()
    assert torch.equal(swin(films).film, swin(films).film)
    for name in ("alexnet", "efficientvit_b0"):
        with pytest.raises(RecipeError, match=f"network.name: {name} has no blocks that could be left out"):
            load_recipe("default", [f"network.name={name}", "network.drop_path=0.1"])


@of_hypothesis(max_examples=8)
@given(st.integers(1, 6), st.integers(1, 6), st.sampled_from(["vit_tiny_patch16_224", "vit_small_patch14_reg4_dinov2"]))
def test_position_embeddings_fit_other_sizes(rows: int, columns: int, name: str) -> None:
    """Against torch's interpolation of the places; what is no place stays."""
    patch = 14 if "patch14" in name else 16
    whole = timm.create_model(name, img_size=4 * patch)
    torch.manual_seed(1)
    state = dict(whole.state_dict())
    state["pos_embed"] = torch.randn(state["pos_embed"].shape)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("hilum.network.network.read_weights", lambda path: dict(state))
        network = create_network(name, 2, "published.pth", input_size=(rows * patch, columns * patch))
    given = network.film.body.state_dict()["net.pos_embed"]
    extra = state["pos_embed"].shape[1] - 16
    places = state["pos_embed"][:, extra:].reshape(1, 4, 4, -1).permute(0, 3, 1, 2)
    if (rows, columns) != (4, 4):
        places = functional.interpolate(places, (rows, columns), mode="bicubic", antialias=True)
    torch.testing.assert_close(given[:, :extra], state["pos_embed"][:, :extra])
    torch.testing.assert_close(given[:, extra:], places.permute(0, 2, 3, 1).reshape(1, rows * columns, -1))


@pytest.mark.parametrize("name", ["swin_tiny_patch4_window7_224", "maxvit_tiny_rw_224"])
def test_weights_of_another_size_give_nearly_the_same_answer(name: str, tmp_path: Path) -> None:
    """Where a film is as smooth as this one; tables of relative positions are resized with the windows."""
    whole = create_network(name, 2, "none", input_size=(64, 64), seed=1)
    save_file({key: tensor.contiguous() for key, tensor in whole.state_dict().items()}, tmp_path / "of_64.safetensors")
    larger = create_network(name, 2, tmp_path / "of_64.safetensors", input_size=(128, 128))
    assert larger.origin == "of_64.safetensors"
    film = torch.linspace(0, 1, 64).expand(1, 1, 64, 64)
    with torch.no_grad():
        answers = [network.eval()(functional.interpolate(film, network.input_size)).film for network in (whole, larger)]
    torch.testing.assert_close(answers[1], answers[0], atol=0.3, rtol=0.3)


def test_weights_of_another_network_are_refused_in_one_line(tmp_path: Path) -> None:
    state = create_network("test_vit", 2, "none", input_size=(64, 64), seed=1).state_dict()
    save_file({key: tensor.contiguous() for key, tensor in state.items()}, tmp_path / "other.safetensors")
    with pytest.raises(
        WeightsError, match=r"other.safetensors does not fit timm/vit_tiny_patch16_224: .*unknown"
    ) as told:
        create_network("vit_tiny_patch16_224", 2, tmp_path / "other.safetensors", input_size=(64, 64))
    assert "\n" not in str(told.value)


def test_what_goes_on_may_see_larger_films(manifest: Path, tmp_path: Path) -> None:
    begun = {
        "network.name": "vit_tiny_patch16_224",
        "network.weights": "none",
        "input.height": 32,
        "input.width": 32,
        "phases.0.epochs": 1,
    }
    hilum.train(manifest, settings=begun, out=tmp_path / "begun", device="cpu", bundle=False)
    larger = {"input.height": 64, "input.width": 48, "phases.0.epochs": 1}
    hilum.train(manifest, start=tmp_path / "begun", settings=larger, out=tmp_path / "run", device="cpu", bundle=False)
    recipe = Run(tmp_path / "run").recipe()
    assert recipe.input.size == (64, 48)
    assert weights_of(tmp_path / "run")["film.body.net.pos_embed"].shape[1] == 4 * 3 + 1


def test_small_networks_are_those_of_their_names() -> None:
    """What the tests above make small still takes the very options of the whole one."""
    assert all(timm.is_model(name) for name in SMALL)
