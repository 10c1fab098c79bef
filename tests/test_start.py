"""Going on from a trained network: its weights come back out of a bundle, its classes stay, its films stay known."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import polars as pl
import pytest
import torch
from exported import make_run, phantom_manifest
from test_bundle_graph import graph_of, lively
from test_joining import JOINING, POSITIVE, stir
from test_views import HEADS, SIDE
from torch import nn
from torch.utils._pytree import tree_leaves

import hilum
from hilum.bundle.card import BundleError
from hilum.bundle.onnx_file import parse_card, read_model
from hilum.dataset.manifest.manifest import load_manifest
from hilum.export.export import ExportOptions, export_run
from hilum.export.film_fits import UNCALIBRATED, FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.unfold import check_same, weights_of
from hilum.export.start import open_start
from hilum.network.heads.lungs import believed
from hilum.network.network import Network, create_network
from hilum.training.prepare import network_of
from hilum.training.recipe import Phase, Recipe
from hilum.training.run import Run, RunError
from hilum.training.start import Start, going_on, known_labels, knows_classes

pytestmark = pytest.mark.usefixtures("exports_remembered")


def shake(network: Network) -> Network:
    """Batch normalization as of a trained network, which does much to what it reads."""
    chance = torch.Generator().manual_seed(4)
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d | nn.GroupNorm):
                module.weight.copy_(0.7 + 0.8 * torch.rand(module.weight.shape, generator=chance))
                module.bias.copy_(0.2 * torch.randn(module.bias.shape, generator=chance))
            if isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.running_mean.copy_(0.1 * torch.randn(module.bias.shape, generator=chance))
                module.running_var.copy_(0.5 + torch.rand(module.bias.shape, generator=chance))
    return network.eval()


def assert_same(one: Network, other: Network) -> None:
    films = torch.rand((2, 1, *one.input_size), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        for ours, theirs in zip(tree_leaves(one.eval()(films)), tree_leaves(other.eval()(films)), strict=True):
            torch.testing.assert_close(ours, theirs, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "size", "head"),
    [("efficientnet_lite0", 64, "linear"), ("resnet18", 96, "mlp"), ("small_cnn1", 32, "linear")],
)
def test_weights_come_back_out_of_a_graph(name: str, size: int, head: str) -> None:
    network = shake(Network(lively(name, size, head)))  # type: ignore[arg-type]
    model = as_onnx(graph_of(network.film))
    again = create_network(name, 3, "none", head=head, input_size=(size, size))  # type: ignore[arg-type]
    again.load_state_dict(weights_of(model, again))
    check_same(model, again)
    assert_same(network, again)


def test_all_heads_and_both_views_come_back() -> None:
    network = create_network("efficientnet_lite0", 3, "none", input_size=(SIDE, SIDE), heads=HEADS, seed=2)
    stir(shake(network))
    fits = [FilmFit(UNCALIBRATED, JOINING, patient) for patient in ("child", "adult")]
    model = as_onnx(Graph(network, Fitted(fits, POSITIVE, [1.0, 0.5, 0.0])))
    again = create_network("efficientnet_lite0", 3, "none", input_size=(SIDE, SIDE), heads=HEADS, seed=3)
    again.load_state_dict(weights_of(model, again))
    assert_same(network, again)
    other = create_network("efficientnet_lite0", 3, "none", input_size=(SIDE, SIDE), heads=HEADS, seed=3)
    with pytest.raises(BundleError, match="see something else"):
        check_same(model, other)


def test_the_model_in_the_box_can_be_gone_on_from() -> None:
    start = open_start("default")
    assert start.card is not None and start.positive == start.card.positive
    network = network_of(start.recipe, "none")
    network.load_state_dict(dict(start.weights))
    films = np.random.default_rng(3).integers(0, 256, (2, 1, *network.input_size), np.uint8)
    session = ort.InferenceSession(str(Path(hilum.__file__).parent / "models" / "default.onnx"))
    lungs, groups = session.run(["lungs", "groups"], {"films": films})
    with torch.no_grad():
        given = network.eval()(torch.from_numpy(films).float() / 255)
    assert given.masks is not None and given.group is not None
    np.testing.assert_allclose(believed(given.masks)[:, 0].numpy(), lungs, atol=2e-3)
    np.testing.assert_allclose(given.group.sigmoid().numpy(), groups[:, 1], atol=2e-3)


def test_classes_stay_and_every_label_means_something() -> None:
    known = known_labels(
        {"normal": ["negative"], "bacterial": ["bacterial"], "viral": ["viral"]}, ["bacterial", "viral"]
    )
    assert "normal" in known["normal"]
    assert "pneumonia" in known["bacterial"] and "pneumonia" in known["viral"] and "viral" not in known["bacterial"]
    before = Recipe(classes={"normal": ["normal"], "pneumonia": ["viral"]})
    weights = {"film.head.linear.weight": torch.zeros(2, 3), "film.body.x": torch.zeros(1)}
    start = Start("parent", before, ["pneumonia"], weights)
    recipe, taken = going_on(Recipe(title="fine-tuned"), start, Path("run"))
    assert list(recipe.classes) == list(before.classes) and taken.weights.keys() == weights.keys()
    assert recipe.title == "fine-tuned, from parent"
    named = replace(Recipe(), classes={"clear": ["normal"], "opacity": ["viral"]})
    recipe, taken = going_on(named, start, Path("run"))
    assert list(recipe.classes) == ["clear", "opacity"] and taken.weights.keys() == {"film.body.x"}


def test_statistics_of_a_bundle_have_to_stay() -> None:
    start = open_start("default")
    with pytest.raises(RunError, match=r"phases\.0\.body_statistics=frozen"):
        going_on(Recipe(), start, Path("run"))
    frozen = replace(Recipe(), phases=[Phase(body_statistics="frozen")])
    assert going_on(frozen, start, Path("run"))[1].weights.keys() == start.weights.keys()
    assert going_on(Recipe(), start._replace(card=None), Path("run"))  # a run's are its own


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("start")
    run = make_run(folder / "run", phantom_manifest(folder / "films"), "small_cnn1", 32)
    export_run(run, folder / "parent.onnx")
    export_run(run, folder / "small.onnx", ExportOptions(compression="int8"))
    return folder / "parent.onnx"


SMALL = {"phases.0.epochs": 1, "training.batch_size": 16}


def test_a_run_goes_on_from_a_bundle_and_its_bundle_says_so(bundle: Path, tmp_path: Path) -> None:
    films = phantom_manifest(tmp_path / "films", 120)
    still = SMALL | {"optimizer.learning_rate": 1e-9, "optimizer.weight_decay": 0, "training.ema": 0}
    trained = hilum.train(films, start=bundle, settings=still, out=tmp_path / "run")
    assert trained.bundle is not None, trained.reason
    parent, card = (parse_card(read_model(path), str(path)) for path in (bundle, trained.bundle))
    assert card.classes == parent.classes and "from parent" in card.title
    assert [one.name for one in card.parents] == [parent.name]
    assert any("parent" in note and "Weights before" in note for note in card.notes)
    # At a rate of nothing it sees what its parent sees.
    film = np.random.default_rng(2).integers(0, 256, (2, 1, 32, 32), np.uint8)
    before, after = (
        ort.InferenceSession(path).run(["features"], {"films": film})[0] for path in (bundle, trained.bundle)
    )
    np.testing.assert_allclose(after, before, atol=1e-4)
    learned = load_manifest(bundle.parent / "films" / "manifest.parquet").table.filter(pl.col("split") == "train")
    assert card.data.holds(learned["file_digest"][0]) == "train"
    resumed = hilum.train(resume=tmp_path / "run")
    assert [row["epoch"] for row in resumed.rows()] == [1]
    assert knows_classes(Run(tmp_path / "run").recipe())


def test_a_run_goes_on_from_a_run_with_classes_of_its_own(bundle: Path, tmp_path: Path) -> None:
    films = phantom_manifest(tmp_path / "films", 120)
    recipe = tmp_path / "own.toml"
    recipe.write_text('phases = [{epochs = 1}]\nclasses = {clear = ["normal"], ill = ["bacterial", "viral"]}\n')
    with pytest.raises(RunError, match="leave --from or --sweep out"):
        hilum.train(films, start=bundle.parent / "run", sweep={"optimizer.name": ["adam", "sgd"]}, out=tmp_path / "no")
    trained = hilum.train(films, recipe=recipe, start=bundle.parent / "run", out=tmp_path / "run", bundle=False)
    assert len(trained.history) == 1 and list(Run(tmp_path / "run").recipe().classes) == ["clear", "ill"]
    assert not knows_classes(Run(tmp_path / "run").recipe())


def test_what_cannot_be_gone_on_from_is_told(bundle: Path, tmp_path: Path) -> None:
    with pytest.raises(BundleError, match="8 bits"):
        open_start(bundle.with_name("small.onnx"))
    with pytest.raises(BundleError, match="there is no such bundle"):
        open_start(tmp_path / "nothing")
