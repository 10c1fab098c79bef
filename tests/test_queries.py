"""Boxes by queries: RT-DETRv2's own answers, what unknown boxes count, a bundle without suppression."""

from __future__ import annotations

import numpy as np
import onnxruntime as ort
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import distributed
from torch._C._distributed_c10d import HashStore
from torch.nn.parallel import DistributedDataParallel

from hilum.bundle.card import BoxCard, Calibration
from hilum.bundle.trust.operators import ALLOWED
from hilum.export.box_settings import calibrate_boxes, choose_settings
from hilum.export.film_fits import FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.suppression import suppress_in_graph
from hilum.export.look import RawFilm
from hilum.network import fits
from hilum.network.heads.boxes import Boxes
from hilum.network.heads.pyramid import Pyramid
from hilum.network.heads.queries import QueryHead
from hilum.network.network import Heads, Network, create_network
from hilum.training.processes import _Trained
from hilum.training.recipe import RecipeError, load_recipe
from hilum.training.task.box_figures import detections_of

SIDE = 64
SMALL = Pyramid(first_stride=8, levels=3, width=32, depth=2, kind="queries", queries=12, denoising=12)
PLAIN = Calibration("temperature", 1.5, [], [], {})


@pytest.fixture(scope="module")
def network() -> Network:
    made = create_network("timm/test_efficientnet", 2, "none", heads=Heads(SMALL), input_size=(SIDE, SIDE), seed=1)
    torch.manual_seed(1)
    for layer in head_of(made).detector.model.decoder.bbox_embed:  # which begin at the queries' own places
        torch.nn.init.normal_(layer.layers[-1].weight, std=0.3)
    return made.eval()


def head_of(network: Network) -> QueryHead:
    assert isinstance(network.boxes, QueryHead)
    return network.boxes


def films(count: int) -> torch.Tensor:
    torch.manual_seed(2)
    return torch.rand(count, 1, SIDE, SIDE)


def drawn(*known: bool) -> Boxes:
    corners = torch.tensor([[4.0, 4, 20, 30], [30, 30, 50, 60]]).expand(len(known), 2, 4)
    present = torch.tensor([[True, number % 2 == 1] for number in range(len(known))])
    return Boxes(corners, present, torch.tensor(known))


def test_its_answer_is_that_of_transformers(network: Network) -> None:
    head = head_of(network)
    with torch.no_grad():
        _, taps = network.film.maps_and_taps(films(3))
        levels = [layer(map_) for layer, map_ in zip(head.narrow, taps, strict=True)]
        encoded = head.detector.model.encoder(list(levels))
        expected = head.detector(pixel_values=None, inputs_embeds=levels[-1], encoder_outputs=encoded)
        found = network(films(3)).boxes
    assert found is not None
    torch.testing.assert_close(found.scores, expected.logits[..., 0])
    torch.testing.assert_close(found.offsets, expected.pred_boxes)
    assert found.scores.std() > 1e-3 and found.offsets.std() > 1e-2
    corners = head.corners(found.offsets)
    assert (
        bool((corners[..., 2:] >= corners[..., :2]).all()) and float(corners.min()) >= 0 and float(corners.max()) <= 1
    )


def test_boxes_of_films_that_are_unknown_count_nothing(network: Network) -> None:
    head = head_of(network.train())
    with torch.no_grad():
        taps = network.film.eval().maps_and_taps(films(2))[1]
    losses = []
    for part, boxes in ((taps, drawn(True, False)), ([map_[:1] for map_ in taps], drawn(True))):
        torch.manual_seed(3)
        head.eval()  # statistics of a batch would differ
        losses.append(head(part, boxes).loss)
    assert losses[0].item() == pytest.approx(losses[1].item() / 2, rel=1e-5)
    head.train().zero_grad()
    nothing = head(taps, drawn(False, False)).loss
    nothing.backward()
    assert nothing.item() == 0
    gradients = {name: parameter.grad for name, parameter in head.named_parameters()}
    assert all(gradient is not None and not gradient.any() for gradient in gradients.values())
    head.zero_grad(set_to_none=True)
    head(taps, drawn(True, True)).loss.backward()
    assert all(parameter.grad is not None for parameter in head.parameters())
    network.eval().zero_grad(set_to_none=True)


def test_under_ddp_every_weight_takes_part_in_every_step() -> None:
    """DDP fails in the next step where a weight had no gradient."""
    made = create_network("timm/test_efficientnet", 2, "none", heads=Heads(SMALL), input_size=(SIDE, SIDE), seed=1)
    distributed.init_process_group("gloo", store=HashStore(), rank=0, world_size=1)
    try:
        trained = DistributedDataParallel(_Trained(made.train()))
        nothing = drawn(True, True)._replace(present=torch.zeros(2, 2, dtype=torch.bool))
        for boxes in (nothing, drawn(False, False), drawn(True, False), nothing):
            outputs = trained(films(2), None, boxes)
            (outputs.film.square().mean() + outputs.boxes.loss).backward()
            assert torch.isfinite(outputs.boxes.loss)
    finally:
        distributed.destroy_process_group()


def test_in_mixed_precision_it_computes_as_before(network: Network) -> None:
    head = head_of(network)
    with torch.no_grad():
        taps = network.film.maps_and_taps(films(2))[1]
        expected = head(taps)
        with torch.autocast("cpu", torch.bfloat16):
            found = head(taps)
    assert torch.equal(found.scores, expected.scores) and torch.equal(found.offsets, expected.offsets)


def test_the_bundle_suppresses_nothing_and_takes_any_number_of_films(network: Network) -> None:
    card = BoxCard(0.3, 1.0, 0.9, 8, [1.3, 0.4, -0.2], {})
    graph = suppress_in_graph(as_onnx(Graph(network, Fitted([FilmFit(PLAIN)], [1], card.calibration))), card)
    operators = {node.op_type for node in graph.graph.node}
    assert "NonMaxSuppression" not in operators and operators <= {name.decode() for name in ALLOWED}
    session = ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    for count in (1, 3):
        levels = (films(count) * 255).to(torch.uint8)
        boxes, scores = session.run(["boxes", "scores"], {"films": levels.numpy()})
        with torch.no_grad():
            outputs = network(levels.float() / 255)
        assert outputs.boxes is not None
        chances = torch.sigmoid(1.3 * outputs.boxes.scores + 0.4 * (outputs.film[:, 1:] - outputs.film[:, :1]) - 0.2)
        best = chances.topk(8, dim=1)
        np.testing.assert_allclose(scores, best.values, atol=1e-4)
        corners = head_of(network).corners(outputs.boxes.offsets).gather(1, best.indices[..., None].expand(-1, -1, 4))
        sides = corners[..., 2:] - corners[..., :2]
        expected = torch.cat([corners[..., :2] + 0.05 * sides, 0.9 * sides], 2)
        np.testing.assert_allclose(boxes, expected, atol=1e-4)


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 1000))
def test_settings_are_chosen_without_suppression(seed: int) -> None:
    """Two boxes beside each other that overlap much are both found; suppression would take one away."""
    random = np.random.default_rng(seed)
    pair = np.array([[0.2, 0.2, 0.3, 0.3], [0.25, 0.2, 0.3, 0.3]])
    elsewhere = pair + np.array([0.4, 0.4, 0, 0])
    films = [
        RawFilm(pair if film % 2 else elsewhere, random.normal(4 * (film % 2), 1, 2), np.zeros(2)) for film in range(60)
    ]
    calibrated = calibrate_boxes(films, [pair] * 60, [1], suppresses=False)
    card, rows, _ = choose_settings(calibrated, None)
    assert card.nms_overlap == 1.0 and {row.setting.nms_overlap for row in rows} == {1.0}


def test_close_boxes_stay_while_it_is_trained(network: Network) -> None:
    with torch.no_grad():
        found = network(films(2)).boxes
    assert found is not None
    for detections in detections_of(found._replace(scores=found.scores + 9), head_of(network)):
        assert len(detections.scores) == SMALL.queries


def test_what_it_cannot_be_together_with_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = load_recipe("detection-transformer")
    assert recipe.detector is not None and recipe.detector.kind == "queries"
    with pytest.raises(RecipeError, match=r"detector.kind = queries: not with \[opacity\], \[lungs\] or \[group\]"):
        load_recipe("detection-transformer", ["opacity.weight=1.0"])
    monkeypatch.setattr(fits, "find_spec", lambda name: None)
    with pytest.raises(RecipeError, match=r"needs the package transformers: pip install 'hilum\[queries\]'"):
        load_recipe("detection-transformer").sized()
