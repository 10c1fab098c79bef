"""`hilum ensemble`: several bundles become one file that is calibrated, explains and serves like any other."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from bundles import answered, tiny_bundle, tiny_detection_bundle, tiny_group_bundle
from commands import run
from exported import phantom_manifest
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

import hilum
from hilum.bundle.card import BundleError, DataCard, pack_digests
from hilum.bundle.onnx_file import read_card
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.export.ensemble.fitting import calibrate_means
from hilum.export.ensemble.merged import merge_data
from hilum.radiograph.geometry import Geometry

LARGE, SMALL = Geometry("squash", 64, 64), Geometry("squash", 48, 48)


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ensemble")
    os.environ["HILUM_HOME"] = str(folder / "home")
    path = phantom_manifest(folder / "films", 200)
    loaded = load_manifest(path)
    ages = pl.Series([8.0 if row % 3 == 0 else 50.0 for row in range(loaded.table.height)])
    table = loaded.table.with_columns(age=ages, split=pl.col("split").replace("train", "test"))
    save_manifest(Manifest(table, loaded.folder), path)
    return path


def bundles(folder: Path, make: Any = tiny_bundle, **changes: Any) -> tuple[Path, Path]:
    made = []
    for name, geometry in (("first", LARGE), ("second", SMALL)):
        (folder / name).mkdir()
        recipe = {"network": {"name": f"tiny_{name}"}}
        made.append(make(folder / name, geometry=geometry, **{"title": name, "recipe": recipe} | changes))
    return made[0], made[1]


@pytest.fixture(scope="module")
def both(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("both")
    answer = run("ensemble", *bundles(folder), "--val", manifest, "-o", folder / "both.onnx")
    assert answer.returncode == 0, answer.stderr
    assert "at balanced: sensitivity" in answer.stderr and "hilum predict" in answer.stderr
    return folder / "both.onnx"


def films(manifest: Path, split: str) -> pl.DataFrame:
    return load_manifest(manifest).table.filter(pl.col("split") == split)


def test_it_says_the_calibrated_mean_of_what_its_parents_say(both: Path, manifest: Path) -> None:
    card, table = read_card(both), films(manifest, "test")
    paths = [manifest.parent / path for path in table["path"]]
    asked = hilum.Asked(gate=False)
    singly = [
        [answered(each).probability for each in hilum.load(both.parent / name / "tiny.onnx").predict(paths, asked)]
        for name in ("first", "second")
    ]
    together = [answered(each).probability for each in hilum.load(both).predict(paths, asked)]
    assert card.calibration is not None
    line = card.calibration.slope, card.calibration.offset
    expected = expit(line[0] * logit(np.mean(singly, axis=0)) + line[1])
    np.testing.assert_allclose(together, expected, atol=2e-3)


def test_calibration_and_points_are_of_validation_films(both: Path, manifest: Path) -> None:
    card, table = read_card(both), films(manifest, "val")
    answers = hilum.load(both).predict([manifest.parent / path for path in table["path"]], hilum.Asked(gate=False))
    chance, truth = np.array([answered(each).probability for each in answers]), table["pneumonia"].to_numpy()
    validated, point = card.figures["validation"], card.point()
    assert validated["films"] == len(truth)
    assert validated["auc"] == pytest.approx(roc_auc_score(truth, chance), abs=1e-4)
    assert validated["brier"] == pytest.approx(np.mean((chance - truth) ** 2), abs=1e-3)
    assert point.sensitivity == pytest.approx(np.mean(chance[truth] >= point.threshold))
    assert point.specificity == pytest.approx(np.mean(chance[~truth] < point.threshold))
    assert card.gate is not None
    judged = hilum.load(both).predict([manifest.parent / path for path in table["path"]])
    away = sum(isinstance(each, hilum.Abstained) for each in judged)
    assert card.gate.distance_false_rejection == pytest.approx(away / len(truth))


def test_the_card_keeps_its_parents_and_knows_their_films(both: Path, manifest: Path) -> None:
    card = read_card(both)
    assert [parent.title for parent in card.parents] == ["first", "second"]
    assert card.networks == ["tiny_first", "tiny_second"]
    assert card.geometry == LARGE and card.data.holds(films(manifest, "val")["file_digest"][0]) == "val"
    assert any("Against Pillow's" in note and "squash 48x48" in note for note in card.notes)
    shown = run("show", both)
    assert "Made of" in shown.stdout and card.parents[1].digest in shown.stdout
    assert "hilum show --md" not in shown.stdout and run("show", both, "--md").returncode == 0


def test_it_predicts_with_heatmaps_and_is_evaluated(both: Path, manifest: Path, tmp_path: Path) -> None:
    film = manifest.parent / films(manifest, "test")["path"][0]
    prediction = answered(hilum.load(both).predict(film, hilum.Asked(gate=False)))
    assert prediction.heatmap is not None and prediction.heatmap.shape == (8, 8)
    assert prediction.about.startswith("mean of 2 parents' maps")
    answer = run("evaluate", both, manifest, "-o", tmp_path / "report")
    assert answer.returncode == 0, answer.stderr
    page = (tmp_path / "report" / "report.html").read_text(encoding="utf-8")
    assert "The mean of the calibrated probabilities of 2 networks (tiny_first, tiny_second)" in page
    assert "None: one network" not in page


def test_later_films_are_set_against_its_validation(both: Path, manifest: Path) -> None:
    card = read_card(both)
    assert card.drift is not None and card.drift.axes.features == 4  # two of each parent
    assert run("drift", both, manifest, "--split", "val").returncode == 0


def test_groups_are_each_calibrated_by_films_of_their_own(manifest: Path, tmp_path: Path) -> None:
    out = tmp_path / "groups.onnx"
    made = hilum.ensemble(bundles(tmp_path, tiny_group_bundle), out, val=manifest)
    child, adult = made.card.groups
    held = films(manifest, "val")
    adults = held.filter(pl.col("age") > 17)
    assert (adult.films["with_pneumonia"], adult.films["without"]) == tuple(
        adults.filter(pl.col("pneumonia") == sick).height for sick in (True, False)
    )
    assert not adult.fitted_on_all and child.fitted_on_all  # of children there are too few
    assert child.tells_kinds and not adult.tells_kinds
    answer = answered(made.predict(manifest.parent / adults["path"][0], hilum.Asked(gate=False, patient="adult")))
    assert answer.threshold == adult.operating_points[0].threshold


def test_boxes_are_fused_and_their_threshold_is_that_of_the_parents_where_few_are_known(
    manifest: Path, tmp_path: Path
) -> None:
    loaded = load_manifest(manifest)
    drawn = pl.Series([[[0.1, 0.1, 0.35, 0.35]] if sick else [] for sick in loaded.table["pneumonia"]])
    boxes = drawn.cast(loaded.table["boxes"].dtype)
    for name, known in (("no-boxes", False), ("boxes", True)):
        table = loaded.table.with_columns(boxes=boxes if known else pl.lit(None, boxes.dtype))
        save_manifest(Manifest(table, loaded.folder), tmp_path / f"{name}.parquet")
    parents = bundles(tmp_path, tiny_detection_bundle, threshold=0.3)
    made = hilum.ensemble(parents, tmp_path / "both.onnx", val=tmp_path / "no-boxes.parquet")
    assert made.card.boxes is not None
    assert made.card.boxes.threshold == pytest.approx(0.3) and made.card.boxes.most == 8
    drawing = hilum.ensemble(parents, tmp_path / "known.onnx", val=tmp_path / "boxes.parquet")
    assert drawing.card.boxes is not None
    assert drawing.card.boxes.figures["true_boxes"] == films(manifest, "val")["pneumonia"].sum()
    report = hilum.evaluate(drawing, tmp_path / "boxes.parquet", split="val", allow_training_films=True)
    assert report.evaluation.boxes is not None
    for name in ("rsna_score", "map_50", "sensitivity_at_1"):
        assert drawing.card.boxes.figures[name] == pytest.approx(report.evaluation.boxes.figures[name].value, abs=1e-3)


def test_films_that_taught_a_parent_calibrate_nothing(manifest: Path, tmp_path: Path) -> None:
    digest = films(manifest, "val")["file_digest"][0]
    data = DataCard("0" * 32, {}, {}, "made up", "", "", "patient", {"train": pack_digests([digest])})
    answer = run("ensemble", *bundles(tmp_path, data=data), "--val", manifest, "-o", tmp_path / "both.onnx")
    assert answer.returncode == 1
    assert "1 of the" in answer.stderr and "taught one of the bundles" in answer.stderr
    assert not (tmp_path / "both.onnx").exists()


def test_what_cannot_be_an_ensemble_is_one_line(manifest: Path, tmp_path: Path) -> None:
    first, second = bundles(tmp_path)
    cases: list[tuple[list[str | Path], str]] = [
        ([first], "at least two bundles"),
        ([first, tmp_path / "none.onnx"], "there is no such bundle"),
        ([first, second], "none of its bundles learned from"),
        ([first, tmp_path], "without folds"),
        ([first, first, "--val", manifest], "the same bundle as"),
    ]
    for arguments, words in cases:
        answer = run("ensemble", *arguments, "-o", tmp_path / "both.onnx")
        assert answer.returncode == 1 and words in answer.stderr
        assert len(answer.stderr.strip().splitlines()) == 1


def test_films_of_which_none_is_set_apart_all_calibrate_and_are_the_baseline(manifest: Path, tmp_path: Path) -> None:
    nowhere = [pl.lit(None, pl.String).alias(column) for column in ("split", "official_split")]
    unsplit = tmp_path / "later.parquet"
    save_manifest(Manifest(films(manifest, "val").with_columns(nowhere), manifest.parent), unsplit)
    made = hilum.ensemble(bundles(tmp_path), tmp_path / "both.onnx", val=unsplit)
    assert made.card.figures["validation"]["films"] == films(manifest, "val").height
    assert made.card.drift is not None


def test_runs_of_one_manifest_are_calibrated_by_its_own_validation(manifest: Path, tmp_path: Path) -> None:
    for bundle in bundles(tmp_path):
        bundle.rename(bundle.with_name("model.onnx"))
        (bundle.parent / "run.json").write_text(f'{{"manifest": "{manifest}", "data": "same"}}')
    made = hilum.ensemble([tmp_path / "first", tmp_path / "second" / "model.onnx"], tmp_path / "both.onnx")
    assert made.card.figures["validation"]["films"] == films(manifest, "val").height
    (tmp_path / "second" / "run.json").write_text(f'{{"manifest": "{manifest}", "data": "other"}}')
    with pytest.raises(BundleError, match="several data sets"):
        hilum.ensemble([tmp_path / "first", tmp_path / "second"], tmp_path / "again.onnx")


def test_a_line_is_fitted_where_the_mean_is_off_and_left_out_where_it_is_not() -> None:
    random = np.random.default_rng(2)
    score = random.normal(0, 2, 4000)
    truth = random.random(4000) < expit(1.7 * score + 0.8)
    made = calibrate_means(score, truth)
    reference = LogisticRegression(C=np.inf).fit(score[:, None], truth)
    assert made.slope == pytest.approx(reference.coef_[0, 0], rel=0.02)
    assert made.offset == pytest.approx(reference.intercept_[0], rel=0.03)
    assert made.figures["log_loss_after"] < made.figures["log_loss_before"]
    as_it_is = calibrate_means(score, random.random(4000) < expit(score))
    assert (as_it_is.slope, as_it_is.offset) == (1.0, 0.0)


def test_films_of_several_parents_are_counted_once_where_the_data_set_is_one() -> None:
    def data(digest: str, train: int, film: str) -> DataCard:
        counts = {"train": {"normal": train, "pneumonia": 10}}
        return DataCard(digest, counts, {"train": train}, "rsna", "own", "", "patient", {"train": pack_digests([film])})

    merged = merge_data([data("a", 20, "11" * 16), data("a", 30, "22" * 16), data("b", 5, "33" * 16)])
    assert merged.counts == {"train": {"normal": 35, "pneumonia": 20}}
    assert merged.patients == {"train": 35} and merged.source == "rsna"
    assert [merged.holds(film * 16) for film in ("11", "22", "33", "44")] == ["train"] * 3 + [None]
    # What one parent was chosen by and another learned from is a training film, in whatever order they come.
    chosen_by = replace(data("b", 5, "11" * 16), films={"val": pack_digests(["11" * 16])})
    assert merge_data([chosen_by, data("a", 20, "11" * 16)]).holds("11" * 16) == "train"


def test_it_needs_no_torch(manifest: Path, tmp_path: Path) -> None:
    first, second = bundles(tmp_path)
    code = (
        "import sys, hilum\nhilum.ensemble(sys.argv[1:3], 'out.onnx', val=sys.argv[3])\nprint('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, *map(str, (first, second, manifest))]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.strip() == "False"
