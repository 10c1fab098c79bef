"""A run that draws boxes becomes a bundle: what the file says is what the network says, suppressed and calibrated."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
import polars as pl
import pytest
import torch
from bundles import answered
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper
from PIL import Image
from typer.testing import CliRunner

import hilum
from hilum import Asked
from hilum.bundle.card import BoxCard, BundleError, Calibration
from hilum.cli.app import app
from hilum.cli.predict.command import main as predict_films
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.store.store import build_store
from hilum.export.box_settings import calibrate_boxes, likely
from hilum.export.export import ExportOptions, export_run
from hilum.export.film_fits import FilmFit
from hilum.export.graph.as_onnx import as_onnx
from hilum.export.graph.graph import Fitted, Graph
from hilum.export.graph.suppression import CANDIDATE_SCORES, CANDIDATES, LEAST_SCORE, suppress_in_graph
from hilum.export.look import RawFilm
from hilum.measures.boxes.overlap import Detections, shrink, suppress
from hilum.network.heads.boxes import BoxHead
from hilum.network.heads.pyramid import Pyramid
from hilum.network.network import Heads, create_network
from hilum.training.feed.examples import Wanted, choose_examples
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.fit import fit
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe, recipe_from
from hilum.training.run import Run, create_run
from hilum.training.task.task import Task

pytestmark = pytest.mark.usefixtures("exports_remembered")
SIDE = 64
PLAIN = Calibration("temperature", 1.5, [], [], {})


def candidates_only(films: int, anchors: int) -> onnx.ModelProto:
    """A graph that gives as candidates what it is given."""
    shapes: dict[str, list[str | int | None]] = {"boxes in": ["films", anchors, 4], "scores in": ["films", anchors]}
    inputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in shapes.items()]
    outputs = [
        helper.make_tensor_value_info(CANDIDATES, TensorProto.FLOAT, shapes["boxes in"]),
        helper.make_tensor_value_info(CANDIDATE_SCORES, TensorProto.FLOAT, shapes["scores in"]),
    ]
    nodes = [
        helper.make_node("Identity", ["boxes in"], [CANDIDATES]),
        helper.make_node("Identity", ["scores in"], [CANDIDATE_SCORES]),
    ]
    graph = helper.make_graph(nodes, "candidates", inputs, outputs)
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def told_apart(corners: Any, scores: Any, card: BoxCard) -> Detections:
    """What must come of a film's candidates, in NumPy."""
    kept = scores > LEAST_SCORE
    boxes = np.hstack([corners[kept][:, :2], corners[kept][:, 2:] - corners[kept][:, :2]]).astype(np.float64)
    found = suppress(Detections(boxes, scores[kept].astype(np.float64)), card.nms_overlap)
    return shrink(Detections(found.boxes[: card.most], found.scores[: card.most]), card.shrinkage)


@given(st.integers(0, 10_000), st.sampled_from([0.1, 0.3, 0.5, 0.7, 1.0]), st.sampled_from([0.8, 1.0, 1.1]))
@settings(max_examples=25, deadline=None)
def test_suppression_in_the_graph_is_that_of_the_evaluation(seed: int, overlap: float, shrinkage: float) -> None:
    random = np.random.default_rng(seed)
    films, anchors = int(random.integers(1, 4)), int(random.integers(12, 60))
    corner = random.uniform(0, 0.7, (films, anchors, 2))
    corners = np.concatenate([corner, corner + random.uniform(0.05, 0.3, (films, anchors, 2))], 2).astype(np.float32)
    scores = random.permutation(films * anchors).reshape(films, anchors).astype(np.float32) / (films * anchors)
    card = BoxCard(0.5, overlap, shrinkage, 12, [1.0, 0.0, 0.0], {})
    model = suppress_in_graph(candidates_only(films, anchors), card)
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    boxes, given_scores = session.run(["boxes", "scores"], {"boxes in": corners, "scores in": scores})
    assert boxes.shape == (films, 12, 4)
    for film in range(films):
        expected = told_apart(corners[film], scores[film], card)
        count = len(expected.scores)
        np.testing.assert_allclose(given_scores[film, :count], expected.scores, atol=1e-6)
        np.testing.assert_allclose(boxes[film, :count], expected.boxes, atol=1e-6)
        assert not given_scores[film, count:].any()


def test_the_graph_says_what_the_network_says() -> None:
    pyramid = Pyramid(8, 2, width=16, depth=1)
    network = create_network(
        "timm/test_efficientnet", 3, "none", heads=Heads(pyramid), input_size=(SIDE, SIDE), seed=3
    ).eval()
    head = network.boxes
    assert isinstance(head, BoxHead)
    torch.manual_seed(3)
    with torch.no_grad():
        for layer in (head.score_tower.output, head.box_tower.output):
            layer.weight.normal_(0, 0.3)
            layer.bias.zero_()  # type: ignore[union-attr]
    slope, share, offset = 1.3, 0.4, -0.2
    card = BoxCard(0.3, 0.4, 0.9, 20, [slope, share, offset], {})
    films = np.random.default_rng(5).integers(0, 256, (3, 1, SIDE, SIDE), np.uint8)
    graph = as_onnx(Graph(network, Fitted([FilmFit(PLAIN)], [1, 2], card.calibration)))
    candidates = run_graph(graph, films)
    given = run_graph(suppress_in_graph(graph, card), films)
    with torch.no_grad():
        outputs = network(torch.from_numpy(films).float() / 255)
    found = outputs.boxes
    assert found is not None
    logits = outputs.film.double().numpy()
    shares = np.exp(logits / 1.5)
    np.testing.assert_allclose(given["probabilities"], shares / shares.sum(1, keepdims=True), atol=1e-5)
    positive = np.log(np.exp(logits[:, 1]) + np.exp(logits[:, 2])) - logits[:, 0]
    for film in range(3):
        anchors, moved = head.anchors.double().numpy(), found.offsets[film].double().numpy()
        sides = anchors[:, 2:] - anchors[:, :2]
        center = (anchors[:, :2] + anchors[:, 2:]) / 2 + moved[:, :2] * sides
        half = sides * np.exp(np.minimum(moved[:, 2:], np.log(8))) / 2
        corners = np.clip(np.hstack([center - half, center + half]) / SIDE, 0, 1)
        z = slope * found.scores[film].double().numpy() + share * positive[film] + offset
        np.testing.assert_allclose(candidates[CANDIDATES][film], corners, atol=1e-4)
        np.testing.assert_allclose(candidates[CANDIDATE_SCORES][film], 1 / (1 + np.exp(-z)), atol=1e-4)
        # Which boxes are left is all or nothing: of two that overlap by just the limit a rounding decides. So that is
        # asked of equal numbers.
        expected = told_apart(candidates[CANDIDATES][film], candidates[CANDIDATE_SCORES][film], card)
        count = len(expected.scores)
        assert 0 < count < len(anchors)
        np.testing.assert_allclose(given["scores"][film, :count], expected.scores, atol=1e-6)
        np.testing.assert_allclose(given["boxes"][film, :count], expected.boxes, atol=1e-6)


def run_graph(model: onnx.ModelProto, films: Any) -> dict[str, Any]:
    session = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, {"films": films}), strict=True))


def test_scores_become_the_share_of_hits() -> None:
    """Boxes are true with a chance that follows from their logit and their film's; calibration must find it again."""
    random = np.random.default_rng(1)
    true = np.array([[0.2, 0.2, 0.3, 0.3]])
    raw, truths, chances = [], [], []
    for _ in range(3000):
        logit, film = random.normal(0, 2), random.normal(0, 1.5)
        chance = 1 / (1 + np.exp(-(0.7 * logit + 0.5 * film - 0.4)))
        box = true if random.random() < chance else true + np.array([0.4, 0.4, 0, 0])
        raw.append(RawFilm(box, np.array([logit]), np.array([0.0, film])))
        truths.append(true)
        chances.append(chance)
    made = calibrate_boxes(raw, truths, [1])
    np.testing.assert_allclose(made.calibration, [0.7, 0.5, -0.4], atol=0.12)
    scores = [likely(made.calibration, film.logits, film.image[1])[0] for film in raw]
    np.testing.assert_allclose(scores, chances, atol=0.05)
    with pytest.raises(BundleError, match="needs at least 20 found"):
        calibrate_boxes(raw[:5], truths[:5], [1])


def squares(folder: Path) -> Path:
    """Dark films, every second one with a bright square, of which the manifest knows the box; half of them train."""
    random = np.random.default_rng(2)
    boxes: dict[str, list[list[float]]] = {}
    for number in range(96):
        film = random.integers(0, 60, (SIDE, SIDE), np.uint8)
        label = "lung_opacity" if number % 2 else "normal"
        name = f"{label}/{number}.png"
        boxes[name] = []
        if number % 2:
            y, x = random.integers(4, SIDE - 24, 2)
            film[y : y + 18, x : x + 18] += 150
            boxes[name] = [[x / SIDE, y / SIDE, 18 / SIDE, 18 / SIDE]]
        (folder / label).mkdir(parents=True, exist_ok=True)
        Image.fromarray(film).save(folder / name)
    manifest, _, _ = import_folder(folder, processes=1)
    names = manifest.table["path"].to_list()
    table = manifest.table.with_columns(
        pl.Series("boxes", [boxes[name] for name in names], manifest.table["boxes"].dtype),
        pl.Series("pneumonia", [bool(boxes[name]) for name in names]),
        pl.Series("split", ["train" if int(Path(name).stem) < 48 else "val" for name in names]),
    )
    save_manifest(Manifest(table, folder), folder / "manifest.parquet")
    return folder / "manifest.parquet"


def recipe() -> Recipe:
    return recipe_from(
        {
            "title": "squares",
            "classes": {"clear": ["normal"], "opacity": ["lung_opacity"]},
            "network": {"name": "timm/test_efficientnet", "weights": "none"},
            "input": {"height": SIDE, "width": SIDE},
            "detector": {"width": 16, "depth": 1, "levels": 2, "first_stride": 8, "ratios": [1.0, 1.2, 1.5]},
            "augmentation": {"flip_horizontal": 0.5},
            "optimizer": {"name": "adam", "learning_rate": 3e-3},
            "phases": [{"epochs": 16}],
            "training": {"batch_size": 8},
            "selection": {"metric": "ap50"},
        }
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Path]:
    folder = tmp_path_factory.mktemp("squares")
    manifest = squares(folder / "films")
    wanted, films = recipe(), load_manifest(manifest)
    assert wanted.detector is not None
    store = build_store(films, wanted.input.to_geometry(), processes=1)
    train, val = (
        choose_examples(films, store, wanted.classes, [split], Wanted(boxes=True)) for split in ("train", "val")
    )
    network = create_network(
        wanted.network.name, 2, "none", heads=Heads(wanted.detector), dropout=0.2, input_size=(SIDE, SIDE), seed=1
    )
    facts = {"recipe": "0123456789abcdef", "data": films.digest, "manifest": str(manifest), "weights": "random"}
    run = create_run(folder / "run", wanted, facts | dict.fromkeys(("hilum", "torch", "torchvision", "timm"), "0.1"))
    cpu = torch.device("cpu")
    feeds = [Feed(Shown(store.pixels, examples, wanted.augmentation), 8, cpu, Course(1)) for examples in (train, val)]
    prepared = Prepared(Task(network, wanted, train, cpu), feeds[0], feeds[1], store, {})
    fit(run, prepared, Processes())
    return run, manifest


@pytest.fixture(scope="module")
def bundle(trained: tuple[Run, Path]) -> Path:
    run, _ = trained
    export_run(run, run.folder / "model.onnx")
    return run.folder / "model.onnx"


def test_the_card_says_how_boxes_come_about(trained: tuple[Run, Path], bundle: Path) -> None:
    card = hilum.load(bundle).card
    assert card.task == "detection"
    assert card.positive == ["opacity"]
    assert card.boxes is not None
    assert card.boxes.figures["true_boxes"] == 24
    assert card.boxes.figures["map_50"] > 0.5
    assert (trained[0].folder / "box-sweep.png").stat().st_size > 5000
    rows = (trained[0].folder / "box-sweep.csv").read_text().splitlines()
    assert len(rows) == 1 + 7 * 8 * 19
    tried = [float(row.rsplit(",", 1)[1]) for row in rows[1:]]
    kept = f"validation,{card.boxes.nms_overlap},{card.boxes.shrinkage},{card.boxes.threshold},"
    assert next(float(row.rsplit(",", 1)[1]) for row in rows if row.startswith(kept)) == max(tried)


def test_predict_finds_the_squares_and_says_so_in_pixels(trained: tuple[Run, Path], bundle: Path) -> None:
    manifest = load_manifest(trained[1])
    rows = manifest.table.filter((pl.col("split") == "val") & (pl.col("label") == "lung_opacity"))
    predictor, near = hilum.load(bundle), 0
    for path, boxes in rows.select("path", "boxes").iter_rows():
        said = predictor.predict(manifest.path(path), Asked(gate=False)).to_dict()["boxes"]
        near += bool(said) and abs(said[0]["x"] - boxes[0][0] * SIDE) < 6 and abs(said[0]["y"] - boxes[0][1] * SIDE) < 6
    assert near >= 0.7 * rows.height
    films = [str(manifest.path(path)) for path in rows["path"]]
    few, every = (
        [answered(answer).boxes for answer in predictor.predict(films, Asked(gate=False, box_threshold=threshold))]
        for threshold in (0.99, 0.0)
    )
    assert sum(map(len, few)) < sum(map(len, every))
    assert all(box.score >= 0.99 for boxes in few for box in boxes)
    for boxes in every:
        assert [box.score for box in boxes] == sorted((box.score for box in boxes), reverse=True)


def test_a_classifier_has_no_threshold_of_boxes(tmp_path: Path) -> None:
    from bundles import tiny_bundle

    predictor = hilum.load(tiny_bundle(tmp_path))
    with pytest.raises(BundleError, match="draws no boxes"):
        predictor.predict([], Asked(box_threshold=0.5))


def test_options_may_stand_between_bundle_and_films(trained: tuple[Run, Path], bundle: Path, capsys: Any) -> None:
    film = next((trained[1].parent / "lung_opacity").glob("*.png"))
    assert predict_films([str(bundle), "--no-gate", "--box-threshold", "0", str(film), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["box_threshold"] == 0


@pytest.mark.parametrize("compression", ["fp16-weights", "int8"])
def test_smaller_files_say_what_changed(trained: tuple[Run, Path], tmp_path: Path, compression: Any) -> None:
    run = trained[0]
    before = {path: path.stat().st_mtime_ns for path in run.folder.iterdir()}
    card = export_run(run, tmp_path / "small.onnx", ExportOptions(compression))
    # Where one file was asked for outside of the run, one file is written, and none in the run.
    assert [path.name for path in tmp_path.iterdir()] == ["small.onnx"]
    assert {path: path.stat().st_mtime_ns for path in run.folder.iterdir()} == before
    assert any(note.startswith(f"{compression}: rsna_score") for note in card.notes)
    hilum.load(tmp_path / "small.onnx")


def test_the_card_is_shown_with_its_boxes(bundle: Path) -> None:
    shown = CliRunner().invoke(app, ["show", str(bundle)])
    assert shown.exit_code == 0
    assert "mAP at 0.5" in shown.output
    stated = json.loads(CliRunner().invoke(app, ["show", str(bundle), "--json"]).output)
    assert stated["boxes"]["most"] == 50


def test_runs_are_swept_together(trained: tuple[Run, Path], tmp_path: Path) -> None:
    folder = trained[0].folder
    ran = CliRunner().invoke(app, ["sweep", str(folder), str(folder), "-o", str(tmp_path / "swept")])
    assert ran.exit_code == 0, ran.output
    assert "all, the mean" in ran.output
    assert len((tmp_path / "swept" / "box-sweep.csv").read_text().splitlines()) == 1 + 2 * 7 * 8 * 19
    assert (tmp_path / "swept" / "box-sweep.png").is_file()
    refused = CliRunner().invoke(app, ["sweep", str(folder), "--prevalence", "20"])
    assert refused.exit_code == 1
    assert refused.stderr == "a prevalence of 20: it is a share of films, above 0 and below 1\n"
