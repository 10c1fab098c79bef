"""`hilum train --folds`: every film is judged once by a network that never saw it; the folds become one bundle."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file
from sklearn.metrics import roc_auc_score
from test_train_command import SMALL

import hilum
from hilum.bundle.card import BundleError
from hilum.bundle.onnx_file import read_card
from hilum.dataset.folds import Folds, leave_out_each
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.split import SplitError
from hilum.evaluation.predictions import load_predictions
from hilum.export.start import open_start
from hilum.training.observer import Event
from hilum.training.recipe import read_recipe
from hilum.training.run import RunError
from hilum.training.series.folds import open_folds, plan_folds
from hilum.training.start import going_on, pass_on, started_from

pytestmark = pytest.mark.usefixtures("exports_remembered")
BRIEF = [*SMALL[:-1], "--set", "phases.0.epochs=1", "--set", "optimizer.learning_rate=0.003"]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Films that are brighter with pneumonia, two of each patient, a sixth of the patients set apart as test."""
    folder = tmp_path_factory.mktemp("folds")
    os.environ["HILUM_HOME"] = str(folder / "home")
    random = np.random.default_rng(3)
    for number in range(400):
        sick = number // 2 % 2 == 0
        kind = folder / "films" / "train" / ("PNEUMONIA" if sick else "NORMAL")
        kind.mkdir(parents=True, exist_ok=True)
        level = (70 if sick else 50) + random.integers(0, 60)
        levels = np.clip(level + random.normal(0, 15, (70, 70)), 0, 255).astype(np.uint8)
        Image.fromarray(levels).save(kind / f"person{number // 2}_bacteria_{number}.png")
    imported = import_folder(folder / "films", processes=1)[0]
    table = imported.table.sort("file_digest").with_columns(official_split=pl.lit(None, pl.String))
    table = table.with_columns(patient=pl.col("path").str.extract(r"person(\d+)"))
    order = {patient: number for number, patient in enumerate(sorted(set(table["patient"])))}
    split = ["test" if order[patient] % 6 == 0 else "train" for patient in table["patient"]]
    path = folder / "films" / "manifest.parquet"
    save_manifest(Manifest(table.with_columns(pl.Series("split", split)), imported.folder), path)
    return path


@pytest.fixture(scope="module")
def trained(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("trained") / "folds"
    answer = run("train", manifest, *BRIEF, "--folds", "2", "-o", out)
    assert answer.returncode == 0, answer.stderr
    assert f"next: hilum ensemble {out}" in answer.stderr
    header, *rows = [line.split("\t") for line in answer.stdout.splitlines()]
    assert header[:4] == ["fold", "films", "patients", "AUROC"] and [row[0] for row in rows] == [
        "fold0",
        "fold1",
        "all",
    ]
    return out


def test_every_film_is_judged_once_by_a_network_that_never_saw_it(trained: Path, manifest: Path) -> None:
    with (trained / "out-of-fold.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    table = load_manifest(manifest).table
    dealt = table.filter(pl.col("split") == "train")
    assert sorted(row["file_digest"] for row in rows) == sorted(dealt["file_digest"])
    cards = {fold: read_card(trained / fold / "model.onnx") for fold in ("fold0", "fold1")}
    assert all(cards[row["fold"]].data.holds(row["file_digest"]) is None for row in rows)
    whose = dict(table.select("file_digest", "patient").iter_rows())
    folds_of = {(whose[row["file_digest"]], row["fold"]) for row in rows}
    assert len(folds_of) == len({patient for patient, _ in folds_of})


def test_the_figures_are_of_all_these_predictions(trained: Path) -> None:
    with (trained / "out-of-fold.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    truth = np.array([row["truth"] == "1" for row in rows])
    chance = np.array([float(row["probability"]) for row in rows])
    called = chance >= np.array([float(row["threshold"]) for row in rows])
    figures = json.loads((trained / "out-of-fold.json").read_text())["figures"]
    assert figures["auroc"]["value"] == pytest.approx(roc_auc_score(truth, chance))
    assert figures["sensitivity"]["value"] == pytest.approx(called[truth].mean())
    assert figures["auroc"]["low"] < figures["auroc"]["value"] < figures["auroc"]["high"]


def test_labels_are_doubted_by_networks_that_never_saw_the_films(trained: Path, manifest: Path) -> None:
    doubts = hilum.doubt(manifest, run=trained)
    dealt = load_manifest(manifest).table.filter(pl.col("split") == "train")
    assert doubts.wrong[0].films == dealt.height and "those of a test split, left out" in doubts.notes[0]
    assert {suspect.path for suspect in doubts.suspects if "model" in suspect.found_by} <= set(dealt["path"])


def test_folds_go_on_where_they_were_stopped(trained: Path, manifest: Path) -> None:
    before = (trained / "out-of-fold.csv").read_bytes()
    kept = (trained / "fold0" / "model.onnx").stat().st_mtime_ns
    (trained / "fold1" / "out-of-fold.csv").unlink()
    trained_before = (trained / "fold1" / "history.csv").stat()
    events: list[Event] = []
    again = hilum.train(resume=trained, device="cpu", observer=events.append, folds=None)
    assert (trained / "out-of-fold.csv").read_bytes() == before
    assert (trained / "fold0" / "model.onnx").stat().st_mtime_ns == kept
    assert (trained / "fold1" / "history.csv").stat() == trained_before
    assert again.to_dict()["failed"] == {}
    with pytest.raises(RunError, match="holds folds with another number of folds"):
        hilum.train(manifest, settings=[each for each in BRIEF if "=" in each], folds=3, out=trained)


def test_folds_become_one_bundle(trained: Path, manifest: Path, tmp_path: Path) -> None:
    answer = run("ensemble", trained, "-o", tmp_path / "both.onnx")
    assert answer.returncode == 0, answer.stderr
    card = read_card(tmp_path / "both.onnx")
    films = load_predictions(Folds.at(trained).predictions(0))
    assert len(card.parents) == 2 and card.figures["out_of_fold"]["films"] > len(films)
    assert "out of fold" in answer.stderr and "Out of fold" in run("show", tmp_path / "both.onnx").stdout
    # Every film of the folds taught a parent, or was chosen by; those of the test split did not.
    table = load_manifest(manifest).table
    held = {digest: card.data.holds(digest) for digest in table["file_digest"]}
    for digest, split in table.select("file_digest", "split").iter_rows():
        assert (held[digest] is None) == (split == "test")
    report = hilum.evaluate(tmp_path / "both.onnx", manifest, split="test")
    assert report.figures["auroc"].value is not None
    refused = run("evaluate", tmp_path / "both.onnx", manifest, "--split", "train", "-o", tmp_path / "report")
    assert refused.returncode == 1 and "trained or calibrated on" in refused.stderr


def test_an_ensemble_of_folds_that_have_not_ended_says_how_to_go_on(trained: Path, tmp_path: Path) -> None:
    bundle = trained / "fold1" / "model.onnx"
    bundle.rename(trained / "aside.onnx")
    try:
        answer = run("ensemble", trained, "-o", tmp_path / "both.onnx")
    finally:
        (trained / "aside.onnx").rename(bundle)
    assert answer.returncode == 1
    assert f"fold 1 has no bundle yet; go on with: hilum train --resume {trained}" in answer.stderr


def test_folds_go_on_from_no_network_that_saw_their_films(trained: Path, manifest: Path, tmp_path: Path) -> None:
    settings = [each for each in BRIEF if "=" in each]
    for start in (trained / "fold0", trained / "fold0" / "model.onnx"):
        with pytest.raises(BundleError, match=rf"{start.stem}: has learned from \d+ of these films"):
            hilum.train(manifest, settings=settings, start=start, folds=2, out=tmp_path / "folds")
    assert not (tmp_path / "folds").exists()


def test_every_fold_goes_on_from_the_same_network_and_knows_it(trained: Path, manifest: Path, tmp_path: Path) -> None:
    learning = read_recipe("fine-tune", [])
    recipe, start = going_on(learning, open_start(trained / "fold0" / "model.onnx"), tmp_path / "folds")
    plan, _ = plan_folds(tmp_path / "folds", recipe, manifest, 2, start)
    plan.begin()
    taken_up = open_folds(tmp_path / "folds")
    assert taken_up.recipe.network.weights == str(tmp_path / "folds" / "start.safetensors")
    held = load_file(taken_up.recipe.network.weights)
    assert set(held) == set(start.weights)
    pass_on(tmp_path / "folds", plan.folds.run(1))
    parent, digest = started_from(plan.folds.run(1)) or (None, "")
    assert parent is not None and start.card is not None
    assert (parent.name, parent.data, digest) == (start.card.name, start.card.data, start.digest)
    assert not started_from(trained / "fold1")
    with pytest.raises(RunError, match="another model to go on from"):
        plan_folds(tmp_path / "folds", recipe, manifest, 2, start._replace(digest="another"))


def test_what_folds_do_not_go_with(manifest: Path, tmp_path: Path) -> None:
    for extra in (["--sweep", "training.batch_size=8,16"], ["--no-bundle"]):
        answer = run("train", manifest, "--folds", "2", *extra, "-o", tmp_path / "folds")
        assert answer.returncode == 1 and "folds are of one recipe" in answer.stderr
    assert not (tmp_path / "folds").exists()


def made_up(patients: list[int], splits: list[str | None], official: list[str | None]) -> Manifest:
    table = pl.DataFrame(
        {
            "path": [f"{row}.png" for row in range(len(patients))],
            "patient": [f"p{patient}" for patient in patients],
            "file_digest": [f"{row:032x}" for row in range(len(patients))],
            "pixel_digest": [f"{row + 1000:032x}" for row in range(len(patients))],
            "label": ["pneumonia" if row % 2 else "normal" for row in range(len(patients))],
            "pneumonia": [bool(row % 2) for row in range(len(patients))],
            "split": pl.Series(splits, dtype=pl.String),
            "official_split": pl.Series(official, dtype=pl.String),
        }
    )
    return Manifest(table, Path())


@given(
    st.lists(st.tuples(st.integers(0, 30), st.sampled_from(["test", "train", "val", None])), min_size=12, max_size=60),
    st.integers(2, 4),
    st.booleans(),
)
@settings(max_examples=60)
def test_no_patient_is_on_both_sides(rows: list[tuple[int, str | None]], count: int, official: bool) -> None:
    patients, splits = [patient for patient, _ in rows], [split for _, split in rows]
    nothing: list[str | None] = [None] * len(rows)
    manifest = made_up(patients, nothing if official else splits, splits if official else nothing)
    folds, _ = leave_out_each(manifest, count)
    tested = {patient for patient, split in rows if split == "test"}
    left_out: list[str] = []
    for fold, apart in enumerate(folds):
        table = apart.table
        assert set(table["split"]) <= {"train", "val", "test", f"fold{fold}"}
        for _, films in table.group_by("patient"):
            assert films["split"].n_unique() == 1
        assert all(int(patient[1:]) in tested for patient in table.filter(pl.col("split") == "test")["patient"])
        left_out += table.filter(pl.col("split") == f"fold{fold}")["path"].to_list()
    assert len(left_out) == len(set(left_out))
    # Whoever has a film in the test split is in no fold; where any film is in a split, those that are in none stay out.
    dealt = [split is not None or not any(splits) for split in splits]
    wanted = [row for row, patient in enumerate(patients) if dealt[row] and patient not in tested]
    assert set(left_out) == {f"{row}.png" for row in wanted}


def test_folds_that_a_manifest_has_are_taken_as_they_are() -> None:
    names: list[str | None] = [f"fold{row % 3}" for row in range(30)]
    manifest = made_up(list(range(30)), names, [None] * 30)
    folds, _ = leave_out_each(manifest, 3)
    for fold, apart in enumerate(folds):
        own = apart.table.filter(pl.col("split") == f"fold{fold}")["path"].to_list()
        assert own == [f"{row}.png" for row in range(30) if row % 3 == fold]
    with pytest.raises(SplitError, match="3 folds, not 2; say --folds 3"):
        leave_out_each(manifest, 2)
