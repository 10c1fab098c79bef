"""The multi-scale transformers: which layers learn, what the lungs change, the whole way."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from exported import phantom_manifest
from safetensors.torch import save_file
from test_bundle_graph import films, graph_of
from torch import Tensor, nn
from torchvision.models.resnet import Bottleneck, ResNet

import hilum
from hilum.export.graph.graph import Graph
from hilum.export.material import best_network
from hilum.network import Network, View
from hilum.network.backbone import BACKBONES, find_backbone
from hilum.network.body import Parts
from hilum.network.finder import PLACES, FinderShape, LungFinder
from hilum.network.multi_scale import MultiScaleBody, sine_positions
from hilum.network.view import create_head
from hilum.training.checkpoint import read_state
from hilum.training.fit import Interrupted
from hilum.training.recipe import load_recipe
from hilum.training.run import Run

SIDE = 32
NAME, FINDER = "resnet50_multi_scale", "timm/test_efficientnet"


def small_resnet() -> ResNet:
    """A ResNet50 with one block a stage: as wide, a quarter as deep."""
    return ResNet(Bottleneck, [1, 1, 1, 1], replace_stride_with_dilation=[False, True, True])


def lively(*, lungs: bool) -> Network:
    """A network in which everything differs from where it began, with a finder that finds something."""
    finder = FinderShape(FINDER, (64, 64)) if lungs else None
    torch.manual_seed(0)
    backbone = find_backbone(NAME)
    body = MultiScaleBody(small_resnet(), (SIDE, SIDE))
    if finder is not None:
        body.finder = LungFinder(finder, (SIDE, SIDE), backbone)
    view = View(backbone, Parts(body, {}), create_head("two_linear", body.width, 3, 0), 3, (SIDE, SIDE))
    network = Network(view)
    for module in network.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
        if isinstance(module, nn.MultiheadAttention):
            module.in_proj_weight.data *= 3
            nn.init.normal_(module.in_proj_bias, 0, 0.3)
            nn.init.normal_(module.out_proj.bias, 0, 0.3)
    return network.eval()


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "lungs"])
def made(request: pytest.FixtureRequest) -> tuple[Network, Graph]:
    network = lively(lungs=request.param)
    return network, graph_of(network.film)


def test_its_body_is_torchvisions_dilated_one() -> None:
    network = lively(lungs=False)
    body = network.film.body
    assert isinstance(body, MultiScaleBody)
    published = small_resnet().eval()
    own = {name: tensor for name, tensor in body.state_dict().items() if name in published.state_dict()}
    published.load_state_dict(own, strict=False)
    stages: list[Tensor] = []
    for stage in (published.layer2, published.layer3, published.layer4):
        stage.register_forward_hook(lambda module, given, result: stages.append(result))
    x = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        published(x)
        maps, _ = body.maps_and_taps(x)
        expected = [layer(stage) for layer, stage in zip((body.near, body.middle, body.far), stages, strict=True)]
    assert maps.shape == (2, 513, SIDE // 8, SIDE // 8)
    torch.testing.assert_close(maps[:, :512], torch.cat(expected, 1))
    assert (maps[:, 512] == 1).all(), "without a finder every place counts"


def test_positions_are_those_of_detr() -> None:
    """Carion et al. 2020: sines and cosines of the place, counted from one and scaled to one turn."""
    found = sine_positions(3, 5)
    row, column, pair = 1, 3, 7
    turns = torch.tensor([(row + 1) / 3, (column + 1) / 5]) * 2 * torch.pi / 10000 ** (2 * pair / 128)
    place = found[row * 5 + column]
    torch.testing.assert_close(place[[2 * pair, 128 + 2 * pair]], turns.sin())
    torch.testing.assert_close(place[[2 * pair + 1, 128 + 2 * pair + 1]], turns.cos())


def test_heatmaps_are_gradients_times_maps(made: tuple[Network, Graph]) -> None:
    network, graph = made
    shown = films(SIDE)
    assert graph.heatmap == "Grad-CAM"
    with torch.no_grad():
        answers = dict(zip(graph.outputs, graph(shown), strict=True))
    view = network.film
    maps, _ = view.maps_and_taps(shown.float() / 255)
    read = maps.detach()[:, :512].requires_grad_()
    logits = view.head(view.body.pool(torch.cat([read, maps.detach()[:, 512:]], 1)))
    assert logits.softmax(1).std(0).max() > 1e-3, "the network must tell the films apart"
    torch.testing.assert_close(answers["probabilities"], logits.softmax(1).detach(), atol=1e-5, rtol=1e-4)
    for column in range(3):
        (gradient,) = torch.autograd.grad(logits[:, column].sum(), read, retain_graph=True)
        weighted = (gradient.mean((2, 3), keepdim=True) * read).detach()
        expected, scale = weighted.sum(1).relu() * maps.detach()[:, 512], float(weighted.abs().sum(1).max())
        torch.testing.assert_close(answers["heatmaps"][:, column], expected, atol=1e-5 * scale, rtol=1e-3)
    assert answers["heatmaps"].max() > 0


def test_it_looks_at_lungs_alone() -> None:
    network = lively(lungs=False)
    body = network.film.body
    maps = torch.rand(1, 513, 4, 4, generator=torch.Generator().manual_seed(0))
    maps[:, 512] = 0
    maps[:, 512, 1:3, :2] = 1
    elsewhere, inside = maps.clone(), maps.clone()
    elsewhere[:, :512, 3:] += 1
    inside[:, :512, 1] += 1
    with torch.no_grad():
        before, without, within = (body.pool(each) for each in (maps, elsewhere, inside))
    assert float((within - before).abs().max()) > 20 * float((without - before).abs().max())


def test_what_learns_is_what_the_published_optimizer_holds() -> None:
    published, repaired = (load_recipe(f"multi-scale-transformer{end}") for end in ("-published", ""))
    assert (published.phases[0].train, repaired.phases[0].train) == ("hidden", "head")
    network = lively(lungs=True)
    all_names = [name for name, _ in network.named_parameters()]

    def learning(trained: str) -> set[str]:
        network.set_trainable(trained, moving_statistics=False)  # type: ignore[arg-type]
        return {name for name, parameter in network.named_parameters() if parameter.requires_grad}

    assert learning("hidden") == {"film.head.hidden.weight", "film.head.hidden.bias"}
    anew = tuple(f"film.body.{layer}." for layer in ("near", "middle", "far", "decoders"))
    assert learning("head") == {name for name in all_names if name.startswith((*anew, "film.head."))}
    assert learning("all") == {name for name in all_names if not name.startswith("film.body.finder.")}
    grouped = [id(parameter) for group in network.layer_groups() for parameter in group]
    assert len(grouped) == len(set(grouped)) == len(learning("all")), "each once, the finder never"
    assert not network.train().film.body.finder.training


def test_the_whole_way_stopped_and_taken_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Trained, stopped, taken up with the same weights, made a bundle with lungs whose heatmap is the gradient's."""
    small = replace(find_backbone(NAME), name="small_multi_scale", build=lambda size, classes: small_parts(size))
    monkeypatch.setitem(BACKBONES, small.name, small)
    torch.manual_seed(0)
    found = LungFinder(FinderShape(FINDER, (64, 64)), (SIDE, SIDE), small).state_dict()
    names = {ours: theirs for theirs, ours in PLACES.items()}
    weights = {f"{names[name.partition('.')[0] + '.']}{name.partition('.')[2]}": found[name] for name in found}
    save_file(weights, tmp_path / "finder.safetensors")
    settings: dict[str, object] = {"network.name": small.name, "network.weights": "none", "phases.0.epochs": 2}
    settings |= {"input.height": SIDE, "input.width": SIDE, "training.batch_size": 8}
    finder = {"weights": str(tmp_path / "finder.safetensors"), "network": FINDER}
    settings |= {f"finder.{name}": value for name, value in (finder | {"height": 64, "width": 64}).items()}
    given: dict[str, Any] = {"recipe": "multi-scale-transformer", "settings": settings, "device": "cpu"}
    films_of_run = phantom_manifest(tmp_path / "films")
    asked: list[bool] = []

    def stop() -> bool:
        asked.append(True)
        return len(asked) == 2

    with pytest.raises(Interrupted):
        hilum.train(films_of_run, out=tmp_path / "run", stop=stop, bundle=True, **given)
    taken_up = hilum.train(resume=tmp_path / "run", device="cpu")
    hilum.train(films_of_run, out=tmp_path / "other", bundle=False, **given)
    states = [read_state(Run(tmp_path / name).best, torch.device("cpu"))["network"] for name in ("run", "other")]
    assert all(torch.equal(tensor, states[1][name]) for name, tensor in states[0].items())
    assert torch.equal(states[0]["film.body.finder.head.output.weight"], found["head.output.weight"]), "held fast"

    assert taken_up.bundle is not None, taken_up.reason
    film = next((tmp_path / "films" / "train").rglob("*.jpeg"))
    answer = hilum.load(taken_up.bundle).predict(film, hilum.Asked(gate=False))
    assert isinstance(answer, hilum.Answered) and answer.heatmap is not None
    assert answer.lungs is not None and answer.lungs.shape == (SIDE // 4, SIDE // 4)
    view = best_network(Run(tmp_path / "run"), Run(tmp_path / "run").recipe())[0].film
    grey = answer.geometry.apply(hilum.read(film).pixels)
    maps = view.maps_and_taps(torch.tensor(grey)[None, None].float() / 255)[0].detach()
    read = maps[:, :512].requires_grad_()
    view.head(view.body.pool(torch.cat([read, maps[:, 512:]], 1)))[0, 1].backward()
    assert read.grad is not None
    weighted = (read.grad.mean((2, 3), keepdim=True) * read).detach()
    scale = float(weighted.abs().sum(1).max())
    expected = (weighted.sum(1).relu() * maps[:, 512])[0].numpy()
    np.testing.assert_allclose(answer.heatmap, expected, atol=1e-3 * scale)


def small_parts(size: tuple[int, int]) -> Parts:
    return Parts(MultiScaleBody(small_resnet(), size), {})
