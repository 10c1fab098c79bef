"""Heatmaps of transformers and hybrids are what Grad-CAM is by PyTorch's own gradients, in PyTorch and as ONNX."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import onnxruntime as ort
import pytest
import timm
import torch
from test_bundle_graph import before_log_softmax, films, graph_of, lively
from torch import Tensor, nn

from hilum.export.graph.as_onnx import as_onnx
from hilum.network import Head, View
from hilum.network.backbone import find_backbone
from hilum.network.body import Parts
from hilum.network.ending import Ending, ending_of
from hilum.network.timm_networks import TimmBody
from hilum.network.view import create_head

SIDE = 64


def first(maps: Tensor) -> Tensor:
    return maps


def last(maps: Tensor) -> Tensor:
    return maps.permute(0, 3, 1, 2)


def tokens(maps: Tensor) -> Tensor:
    """Four by four places after one token that is none."""
    return maps[:, 1:].reshape(len(maps), 4, 4, -1).permute(0, 3, 1, 2)


class Case(NamedTuple):
    name: str
    head: Head
    where: str  # the module that gives the map, inside the network
    places: Callable[[Tensor], Tensor]
    kind: str = "Grad-CAM"


CASES = [
    Case("timm/test_convnext", "linear", "stages", first),
    Case("timm/test_convnext", "mlp", "stages", first),
    Case("timm/test_vit2", "linear", "blocks", tokens),
    Case("timm/test_vit2", "mlp", "blocks", tokens),
    Case("timm/test_vit", "linear", "blocks.5.norm1", tokens),
    Case("timm/test_vit", "mlp", "blocks.5.norm1", tokens),
    Case("swin", "linear", "norm", last, "class activation map"),
]


def view_of(case: Case) -> View:
    """A network whose weights do what those of a trained one do: everything differs from where it began."""
    view = small_swin() if case.name == "swin" else lively(case.name, SIDE, case.head)
    torch.manual_seed(0)
    for module in view.body.modules():
        if isinstance(module, nn.LayerNorm):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, 0, 0.3)
        if isinstance(module, nn.Linear):
            module.weight.data *= 3
        if isinstance(gamma := getattr(module, "gamma", None), nn.Parameter):  # of a layer scale
            nn.init.uniform_(gamma, 0.3, 1.2)
    return view.eval()


def small_swin() -> View:
    """The smallest Swin, which timm has under no name of its own."""
    small: dict[str, Any] = {"embed_dim": 16, "depths": (1, 1), "num_heads": (1, 2), "window_size": 4}
    net = timm.create_model("swin_tiny_patch4_window7_224", img_size=SIDE, num_classes=0, **small)
    backbone = find_backbone("timm/swin_tiny_patch4_window7_224")
    body = TimmBody(net, ["head.fc"])
    return View(backbone, Parts(body, {}), create_head("linear", 32, 3, 0), 3, (SIDE, SIDE))


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.name}-{case.head}")
def test_they_are_gradients_times_maps(case: Case) -> None:
    view = view_of(case)
    graph, shown = graph_of(view), films(SIDE)
    assert graph.heatmap == case.kind
    with torch.no_grad():
        answers = dict(zip(graph.outputs, graph(shown), strict=True))
    kept: list[Tensor] = []
    hook = view.body.get_submodule(f"net.{case.where}").register_forward_hook(lambda _, given, maps: kept.append(maps))
    logits = before_log_softmax(view)((shown.float() / 255).requires_grad_())
    hook.remove()
    assert logits.softmax(1).std(0).max() > 0.01, "the network must tell the films apart"
    torch.testing.assert_close(answers["probabilities"], logits.softmax(1).detach(), atol=1e-5, rtol=1e-4)
    maps = case.places(kept[0])
    found = 0.0
    for column in range(3):
        (gradient,) = torch.autograd.grad(logits[:, column].sum(), kept[0], retain_graph=True)
        weighted = (case.places(gradient).mean((2, 3), keepdim=True) * maps).sum(1).detach()
        expected = weighted.relu() if case.kind == "Grad-CAM" else weighted * maps[0, 0].numel()
        scale = float(expected.abs().max())
        found = max(found, scale)
        torch.testing.assert_close(answers["heatmaps"][:, column], expected, atol=1e-4 * max(scale, 1e-6), rtol=1e-3)
    assert found > 0


@pytest.mark.parametrize("case", [CASES[0], CASES[4], CASES[6]], ids=lambda case: case.name)
def test_onnx_says_the_same_of_any_number_of_films(case: Case) -> None:
    graph = graph_of(view_of(case))
    session = ort.InferenceSession(as_onnx(graph).SerializeToString())
    for count in (1, 3):
        shown = films(SIDE, count)
        with torch.no_grad():
            expected = dict(zip(graph.outputs, graph(shown), strict=True))
        answers = session.run(["probabilities", "heatmaps"], {"films": shown.numpy()})
        for name, answer in zip(("probabilities", "heatmaps"), answers, strict=True):
            scale = float(expected[name].abs().max())
            np.testing.assert_allclose(answer, expected[name], atol=1e-3 * scale, err_msg=name)


def test_an_ending_is_found_by_what_it_does() -> None:
    def ending(name: str) -> Ending | None:
        return ending_of(timm.create_model(name, num_classes=0).eval())

    assert ending("resnet18") == Ending("channels first")
    assert ending("test_convnext") == Ending("channels first", 0, "head.norm")
    assert ending("test_vit2") == Ending("tokens", 1, "fc_norm")
    assert isinstance(body := small_swin().body, TimmBody)
    assert body.ending == Ending("channels last")
    for other in (
        "test_vit",
        "test_vit3",
        "test_vit4",
        "mobilenetv3_small_050",
    ):  # token, attention, no mean, a layer more
        assert ending(other) is None
