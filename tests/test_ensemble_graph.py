"""The graph of an ensemble says what follows from the answers of its parents, which are asked one by one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from bundles import tiny_bundle, tiny_detection_bundle, tiny_group_bundle
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from hilum.bundle.card import BundleError, GateCard
from hilum.bundle.format import LATERAL, STATES
from hilum.bundle.gate import verdict
from hilum.bundle.onnx_file import write_numbers
from hilum.export.ensemble.fusion import fuse_in_graph, most_boxes
from hilum.export.ensemble.gate import limit_of, states_of, vote_in_graph
from hilum.export.ensemble.graph import join_graphs
from hilum.export.ensemble.nodes import Nodes
from hilum.export.ensemble.parents import Parent, open_parents
from hilum.export.ensemble.probability import Line, along
from hilum.measures.boxes.fusion import fuse
from hilum.measures.boxes.overlap import Detections
from hilum.radiograph import Radiograph
from hilum.radiograph.geometry import Geometry

Named = dict[str, NDArray[np.float32]]
LARGE, SMALL = Geometry("squash", 96, 64), Geometry("squash", 48, 48)


def run(model: onnx.ModelProto, **given: NDArray[Any]) -> Named:
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, given), strict=True))


def of_nodes(nodes: Nodes, inputs: dict[str, NDArray[Any]], outputs: list[str]) -> Named:
    """What a few nodes make of some numbers."""
    takes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape) for name, value in inputs.items()]
    gives = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
    graph = helper.make_graph(nodes.nodes, "nodes", takes, gives, nodes.numbers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    return run(model, **inputs)


def films(geometry: Geometry, count: int = 5) -> NDArray[np.uint8]:
    """Smooth pictures, some dark and some bright."""
    random = np.random.default_rng(4)
    small = random.integers(0, 256, (count, 6, 4), np.uint8)
    small = (small * np.linspace(0.2, 1, count)[:, None, None]).astype(np.uint8)
    size = (geometry.width, geometry.height)
    return np.stack([np.asarray(Image.fromarray(film).resize(size)) for film in small])


def at(geometry: Geometry, levels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """As Pillow makes them."""
    return np.stack([geometry.apply(film.astype(np.float32) / 255) for film in levels])


def parents_of(folder: Path, make: Callable[..., Path], *changes: dict[str, Any]) -> list[Parent]:
    paths = []
    for place, change in enumerate(changes):
        inside = folder / str(place)
        inside.mkdir()
        paths.append(make(inside, **{"title": f"parent {place}"} | change))
    return open_parents(paths)


def asked_singly(parents: list[Parent], levels: NDArray[np.uint8]) -> list[Named]:
    return [run(parent.model, films=at(parent.card.geometry, levels)[:, None]) for parent in parents]


def test_answers_are_means_of_those_of_single_parents(tmp_path: Path) -> None:
    parents = parents_of(tmp_path, tiny_bundle, {"geometry": LARGE}, {"geometry": SMALL}, {"geometry": LARGE})
    levels = films(LARGE)
    joined, single = run(join_graphs(parents), films=levels[:, None]), asked_singly(parents, levels)
    assert list(joined) == ["probabilities", "heatmaps", "features", "gate"]
    for name in ("probabilities", "heatmaps"):
        mean = np.mean([said[name] for said in single], axis=0, dtype=np.float64)
        # The smaller film is made of the larger one to a grey level here and there.
        np.testing.assert_allclose(joined[name], mean, atol=2e-3)
    np.testing.assert_allclose(joined["probabilities"].sum(1), 1, atol=1e-6)
    assert joined["features"].shape == (len(levels), 6)
    # Alike parents at one size are one of them, to rounding.
    twins = [parents[0], parents[2]]
    alike = run(join_graphs(twins), films=levels[:, None])
    np.testing.assert_allclose(alike["probabilities"], single[0]["probabilities"], atol=1e-6)


def test_groups_of_patients_are_averaged_each_by_itself(tmp_path: Path) -> None:
    parents = parents_of(tmp_path, tiny_group_bundle, {"geometry": LARGE}, {"geometry": SMALL})
    levels = films(LARGE)
    joined, single = run(join_graphs(parents), films=levels[:, None]), asked_singly(parents, levels)
    for name in ("probabilities", "groups"):
        np.testing.assert_allclose(joined[name], np.mean([said[name] for said in single], axis=0), atol=2e-3)
    assert joined["probabilities"].shape == (len(levels), 2, 4)


def test_lungs_and_boxes_of_detectors(tmp_path: Path) -> None:
    parents = parents_of(
        tmp_path, tiny_detection_bundle, {"geometry": LARGE, "maps": True}, {"geometry": SMALL, "maps": True}
    )
    levels = films(LARGE)
    joined, single = run(join_graphs(parents), films=levels[:, None]), asked_singly(parents, levels)
    assert joined["lungs"].shape == (len(levels), 24, 16)
    # Means of the same brightness, at other places.
    np.testing.assert_allclose(joined["lungs"].mean((1, 2)), single[0]["lungs"].mean((1, 2)), atol=0.02)
    for film in range(len(levels)):
        opinions = [
            Detections(said["boxes"][film].astype(float), said["scores"][film].astype(float)) for said in single
        ]
        expected = fuse(opinions)
        found = joined["scores"][film] > 0
        np.testing.assert_allclose(joined["scores"][film][found], expected.scores, atol=5e-3)
        np.testing.assert_allclose(joined["boxes"][film][found], expected.boxes, atol=5e-3)


@given(st.integers(0, 10_000), st.integers(2, 4))
@settings(max_examples=25)
def test_boxes_are_fused_as_submit_fuses_them(seed: int, opinions: int) -> None:
    random = np.random.default_rng(seed)
    films, each = 3, 8
    # Around a few places, so that many overlap; some scores are 0, which means no box.
    corners = random.choice(random.uniform(0, 0.6, (3, 2)), (opinions, films, each)) + random.normal(
        0, 0.02, (opinions, films, each, 2)
    )
    boxes = np.concatenate([corners, random.uniform(0.15, 0.35, (opinions, films, each, 2))], -1).astype(np.float32)
    scores = np.sort(random.uniform(-0.2, 1, (opinions, films, each)).clip(0), -1)[..., ::-1].astype(np.float32)
    given = {f"boxes{place}": boxes[place] for place in range(opinions)}
    given |= {f"scores{place}": scores[place] for place in range(opinions)}
    nodes, most = Nodes(), most_boxes([each] * opinions)
    fuse_in_graph(nodes, list(given)[:opinions], list(given)[opinions:], most)
    made = of_nodes(nodes, given, ["boxes", "scores"])
    for film in range(films):
        expected = fuse(
            [
                Detections(boxes[place, film].astype(float), scores[place, film].astype(float))
                for place in range(opinions)
            ]
        )
        found = made["scores"][film] > 0
        assert found.sum() == len(expected.scores)
        np.testing.assert_allclose(made["scores"][film][found], expected.scores, atol=1e-6)
        np.testing.assert_allclose(made["boxes"][film][found], expected.boxes, atol=1e-5)
        assert not made["scores"][film][~found].any()


def gate_card(limit: float, lateral: bool) -> GateCard:
    return GateCard(0.01, limit, 10, "", [*STATES, LATERAL] if lateral else [*STATES])


@given(
    st.integers(0, 10_000), st.lists(st.tuples(st.sampled_from([0.5, 0.7, 0.9]), st.booleans()), min_size=2, max_size=5)
)
@settings(max_examples=50)
def test_a_film_is_turned_away_when_most_parents_do(seed: int, kinds: list[tuple[float, bool]]) -> None:
    random = np.random.default_rng(seed)
    cards = [gate_card(*kind) for kind in kinds]
    rows = []
    for card in cards:
        states = random.dirichlet(np.full(len(card.states), 0.3), 20)
        rows.append(np.concatenate([random.uniform(0, 2, (20, 1)), states], 1).astype(np.float32))
    nodes, inputs = Nodes(), {f"row{place}": row for place, row in enumerate(rows)}
    vote_in_graph(nodes, list(inputs), cards)
    made = of_nodes(nodes, inputs, ["gate"])["gate"]
    merged = replace(cards[0], turned_limit=limit_of(cards), states=states_of(cards))
    assert made.shape == (20, 1 + len(merged.states))
    np.testing.assert_allclose(made[:, 1:].sum(1), 1, atol=1e-5)
    assert (made[:, 1:] > -1e-6).all()
    levels = random.uniform(0, 1, (100, 100)).astype(np.float32)
    radiograph = Radiograph(levels, "png", "PNG", "L", 8, 100, 100)
    for film in range(20):
        votes = [not verdict(radiograph, row[film], card).passed for row, card in zip(rows, cards, strict=True)]
        assert verdict(radiograph, made[film], merged).passed == (sum(votes) <= len(votes) / 2)


def test_the_line_of_the_file_moves_the_log_odds(tmp_path: Path) -> None:
    parents = parents_of(tmp_path, tiny_bundle, {"geometry": LARGE}, {"geometry": SMALL})
    model, levels = join_graphs(parents), films(LARGE)
    before = run(model, films=levels[:, None])["probabilities"]
    numbers = {tensor.name: tensor for tensor in model.graph.initializer}
    for name, value in {"calibration.slope": 1.5, "calibration.offset": -0.5}.items():
        numbers[name].CopyFrom(numpy_helper.from_array(np.asarray(value, np.float32), name))
    after = run(model, films=levels[:, None])["probabilities"]
    odds = 1.5 * np.log(before[:, 1] / before[:, 0]) - 0.5
    np.testing.assert_allclose(after[:, 1], 1 / (1 + np.exp(-odds)), atol=1e-5)
    np.testing.assert_allclose(along(Line(1.5, -0.5), before, [1]), after, atol=1e-5)


def test_the_limit_of_the_gate_stands_in_the_file(tmp_path: Path) -> None:
    model = join_graphs(parents_of(tmp_path, tiny_bundle, {"geometry": LARGE}, {"geometry": SMALL}))
    content, levels = model.SerializeToString(), films(LARGE)[:, None]
    wider = onnx.load_from_string(write_numbers(content, {"gate.limit": 2.0}))
    before, after = (run(each, films=levels)["gate"] for each in (model, wider))
    np.testing.assert_allclose(after[:, 0], before[:, 0] / 2, rtol=1e-6)
    np.testing.assert_array_equal(after[:, 1:], before[:, 1:])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"geometry": Geometry("fit", 96, 64)}, "placed by fit, and .*placed by squash"),
        ({"geometry": Geometry("squash", 64, 96)}, "squash 64x96 cannot be made from those of .*squash 96x64"),
        (
            {"classes": ["normal", "opacity"], "positive": ["opacity"]},
            "classes normal, opacity, and .*the same classes",
        ),
        ({"positive": ["normal"]}, "normal meaning pneumonia, and .*pneumonia meaning pneumonia"),
    ],
)
def test_bundles_that_do_not_go_together_are_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(BundleError, match=message):
        parents_of(tmp_path, tiny_bundle, {"geometry": LARGE}, {"geometry": LARGE} | change)


def test_other_refusals(tmp_path: Path) -> None:
    one = tiny_bundle(tmp_path)
    with pytest.raises(BundleError, match="the same bundle as"):
        open_parents([one, one])
    with pytest.raises(BundleError, match=r"draws boxes, and .*draws no boxes"):
        open_parents([one, tiny_detection_bundle(tmp_path)])
