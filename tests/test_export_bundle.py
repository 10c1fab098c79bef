"""A run becomes a bundle: the file says what the network says, on what terms, and nothing it should not."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import polars as pl
import pytest
import torch
from commands import run as command
from exported import FILMS, make_run, phantom_manifest
from typer.testing import CliRunner

import hilum
from hilum.bundle.card import BundleError, Card
from hilum.bundle.drift.comparison import compare
from hilum.bundle.drift.traits import traits_of_readings
from hilum.bundle.onnx_file import read_card
from hilum.bundle.reading import Reading
from hilum.cli.app import app
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.export.calibrate import apply
from hilum.export.export import ExportOptions, export_run
from hilum.export.material import best_network, open_material
from hilum.system.files import write_whole
from hilum.training.run import Run, open_run

pytestmark = pytest.mark.usefixtures("exports_remembered")
DOCS = Path(__file__).parents[1] / "docs"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("export")
    os.environ["HILUM_HOME"] = str(folder / "home")
    return phantom_manifest(folder / "films")


@pytest.fixture(
    params=[("timm/test_efficientnet", 64, "linear"), ("small_cnn1", 32, "linear"), ("small_cnn2", 96, "mlp")],
    ids=lambda case: case[0],
    scope="module",
)
def exported(request: pytest.FixtureRequest, manifest: Path) -> tuple[Run, Path, Card]:
    name, side, head = request.param
    run = make_run(manifest.parent.parent / name, manifest, name, side, head)
    out = run.folder / "model.onnx"
    return run, out, export_run(run, out)


def test_probabilities_are_those_of_the_network(exported: tuple[Run, Path, Card]) -> None:
    run, out, card = exported
    material = open_material(run, lambda *told: None)
    films = material.store.pixels[material.val.rows]
    network, _ = best_network(run, material.recipe)
    with torch.no_grad():
        logits = network(torch.from_numpy(films)[:, None].float() / 255).film.double().numpy()
    assert card.calibration is not None
    expected = apply(card.calibration, logits, [card.classes.index(name) for name in card.positive])
    said = hilum.load(out).run(films)
    assert expected.std(0).max() > 1e-3
    np.testing.assert_allclose(said.probabilities, expected, atol=1e-4)
    assert said.heatmaps is not None and said.heatmaps.shape[:2] == (len(films), 2)
    assert said.gate is not None and said.gate.shape == (len(films), 8)


def test_operating_points_hold_on_the_very_file(exported: tuple[Run, Path, Card]) -> None:
    run, out, card = exported
    material = open_material(run, lambda *told: None)
    said = hilum.load(out).run(material.store.pixels[material.val.rows]).probabilities
    chance, truth = said[:, card.classes.index("pneumonia")], material.val.targets == 1
    for point in card.operating_points:
        called = chance >= point.threshold
        assert called[truth].mean() == pytest.approx(point.sensitivity)
        assert (~called[~truth]).mean() == pytest.approx(point.specificity)


def test_the_card_tells_what_was_done(exported: tuple[Run, Path, Card]) -> None:
    run, out, card = exported
    assert read_card(out) == card
    assert (card.classes, card.positive) == (["normal", "pneumonia"], ["pneumonia"])
    assert card.recipe == json.loads(json.dumps(run.recipe().as_dict()))
    table = load_manifest(run.facts()["manifest"]).table
    assert card.data.digest == run.facts()["data"]
    assert card.data.split_by == "patient"
    assert sum(sum(counts.values()) for counts in card.data.counts.values()) == len(table) == FILMS
    assert card.data.license == "CC BY 4.0"
    for split in ("train", "val"):
        rows = table.filter(pl.col("split") == split)
        assert card.data.patients[split] == rows["patient"].n_unique()
        assert {card.data.holds(digest) for digest in rows["file_digest"]} == {split}
        assert {card.data.holds(digest) for digest in rows["pixel_digest"]} == {split}
    assert card.data.holds("ab" * 16) is None
    assert "Research use only" in card.intended_use
    assert 0 <= card.figures["validation"]["auc"] <= 1


def test_the_card_knows_what_validation_films_looked_like(exported: tuple[Run, Path, Card]) -> None:
    run, out, card = exported
    assert card.drift is not None
    films = load_manifest(run.facts()["manifest"])
    table = films.table.filter(pl.col("split") == "val").sort("file_digest").unique("patient", keep="first")
    (kind,) = card.drift.kinds
    assert (kind.source, kind.patient, kind.films) == ("kermany", None, len(table))
    assert kind.facts["bits"] == {"8": len(table)}
    readings = list(hilum.load(out).readings(films.path(path) for path in table["path"]))
    looked = [reading for reading in readings if isinstance(reading, Reading)]
    found = compare(traits_of_readings(looked, card.drift.axes, [1]), card.drift)
    # The very films that it was taken of, each as the predictor sees it: nothing is apart by more than a step.
    assert not found.alarms
    assert max(shift.apart for shift in found.groups[0].shifts) < 0.05


def test_the_file_holds_standard_operators_and_nothing_of_this_machine(exported: tuple[Run, Path, Card]) -> None:
    _, out, _ = exported
    model = onnx.load(out)
    assert [opset.domain for opset in model.opset_import] == [""]
    assert 17 <= model.opset_import[0].version <= 21
    assert {node.domain for node in model.graph.node} == {""}
    assert "BatchNormalization" not in {node.op_type for node in model.graph.node}, "folded"
    for tensor in model.graph.initializer:  # among so many bytes stands any word
        tensor.ClearField("raw_data")
    content = model.SerializeToString()
    for word in (str(Path.home()), str(Path(hilum.__file__).parent), str(out.parent), "site-packages", ".py"):
        assert word.encode() not in content, word
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    assert batch.dim_param and not batch.dim_value


def test_the_documented_example_needs_numpy_and_onnxruntime_alone(
    exported: tuple[Run, Path, Card], tmp_path: Path
) -> None:
    run, out, card = exported
    example = re.search(r"```python\n(.*?)```", (DOCS / "bundle.md").read_text(encoding="utf-8"), re.DOTALL)
    assert example is not None
    material = open_material(run, lambda *told: None)
    np.save(tmp_path / "films.npy", material.store.pixels[material.val.rows[:5]])
    (tmp_path / "model.onnx").write_bytes(out.read_bytes())
    blocked = "import sys\nfor name in ('hilum', 'torch', 'onnx', 'PIL', 'timm'): sys.modules[name] = None\n"
    answer = subprocess.run(
        [sys.executable, "-c", blocked + example[1]], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert answer.returncode == 0, answer.stderr
    chance = hilum.load(out).run(np.load(tmp_path / "films.npy")).probabilities[:, 1]
    words = ["pneumonia" if value >= card.point().threshold else "no pneumonia" for value in chance]
    shown = [line for line in answer.stdout.splitlines() if line.startswith("film")]
    assert len(shown) == 5
    for line, value, word in zip(shown, chance, words, strict=True):
        assert f"{value:.3f}" in line and (line.endswith(word) or "no such film" in line)


def test_too_few_validation_films_are_refused_with_the_count(manifest: Path, tmp_path: Path) -> None:
    loaded = load_manifest(manifest)
    table = loaded.table.with_columns(
        split=pl.when(pl.int_range(pl.len()).over("label") < 5).then(pl.lit("val")).otherwise(pl.lit("train"))
    )
    few = manifest.parent / "few.parquet"
    save_manifest(Manifest(table, loaded.folder), few)
    run = make_run(tmp_path / "run", few, "small_cnn1", 32, steps=0)
    with pytest.raises(BundleError, match=r"at least \d+ of each"):
        export_run(run, tmp_path / "model.onnx")
    assert not (tmp_path / "model.onnx").exists()


def test_other_data_than_the_run_was_trained_on_is_refused(manifest: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", manifest, "small_cnn1", 32, steps=0)
    facts = json.loads((run.folder / "run.json").read_text())
    (run.folder / "run.json").write_text(json.dumps(facts | {"data": "0" * 32}))
    with pytest.raises(BundleError, match="not the data set any more"):
        export_run(open_run(run.folder), tmp_path / "model.onnx")


def test_a_prevalence_is_for_detectors(manifest: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", manifest, "small_cnn1", 32, steps=0)
    with pytest.raises(BundleError, match="draws no boxes"):
        export_run(run, tmp_path / "model.onnx", ExportOptions(prevalence=0.2))


def test_classes_without_pneumonia_are_refused(manifest: Path, tmp_path: Path) -> None:
    kinds = {"bacterial": ["bacterial"], "viral": ["viral"]}
    run = make_run(tmp_path / "run", manifest, "small_cnn1", 32, steps=0, classes=kinds)
    with pytest.raises(BundleError, match="every class means pneumonia"):
        export_run(run, tmp_path / "model.onnx")


def test_three_classes_with_films_that_may_be_of_two(manifest: Path, tmp_path: Path) -> None:
    """Every third film says pneumonia without its kind; what is sure of these is calibrated and judged all the same."""
    loaded = load_manifest(manifest)
    vague = (pl.col("label") != "normal") & (pl.int_range(pl.len()) % 3 == 0)
    table = loaded.table.with_columns(label=pl.when(vague).then(pl.lit("pneumonia")).otherwise("label"))
    mixed = manifest.parent / "mixed.parquet"
    save_manifest(Manifest(table, loaded.folder), mixed)
    kinds = {"normal": ["normal"], "bacterial": ["bacterial", "pneumonia"], "viral": ["viral", "pneumonia"]}
    run = make_run(tmp_path / "run", mixed, "timm/test_efficientnet", 64, classes=kinds)
    card = export_run(run, tmp_path / "model.onnx")
    assert card.positive == ["bacterial", "viral"]
    material = open_material(run, lambda *told: None)
    said = hilum.load(tmp_path / "model.onnx").run(material.store.pixels[material.val.rows]).probabilities
    np.testing.assert_allclose(said.sum(1), 1, atol=1e-5)
    labels = dict(table.select("path", "label").iter_rows())
    truth = np.array([labels[path] != "normal" for path in material.val.paths])
    called = said[:, 1:].sum(1) >= card.point().threshold
    assert called[truth].mean() == pytest.approx(card.point().sensitivity)
    assert card.figures["validation"]["films"] == len(truth) == (table["split"] == "val").sum()
    assert card.calibration is not None and card.calibration.method != "temperature", (
        "a temperature would calibrate the classes, which are not sure"
    )


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "model.onnx"
    out.write_bytes(b"the old one")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device", str(out))

    with monkeypatch.context() as disk, pytest.raises(OSError, match="no space left"):
        disk.setattr(os, "fsync", full)
        write_whole(out, b"the new one", check=read_card)
    with pytest.raises(BundleError):
        write_whole(out, b"no bundle", check=read_card)
    assert out.read_bytes() == b"the old one"
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]


def test_the_command_says_what_it_made(manifest: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", manifest, "timm/test_efficientnet", 64)
    answer = command("export", run.folder, "--fp16-weights")
    assert answer.returncode == 0, answer.stderr
    assert "sensitivity" in answer.stderr and "fp16-weights: on" in answer.stderr
    assert "Warning" not in answer.stderr and "WARNING" not in answer.stderr
    assert read_card(run.folder / "model.onnx").notes[-1].startswith("fp16-weights")
    refused = CliRunner().invoke(app, ["export", str(tmp_path)])
    assert refused.exit_code == 1
    assert refused.stderr.strip() == f"{tmp_path}: holds no run; name the directory that `hilum train` wrote"
