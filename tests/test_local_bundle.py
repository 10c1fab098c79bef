"""`hilum calibrate` as a user meets it: films of a hospital where the tiny bundle is off, and what comes of them."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bundles import tiny_bundle
from commands import run
from local_bundles import hospital, settable_bundle, settable_group_bundle

import hilum
from hilum import Asked
from hilum.bundle.card import BundleError
from hilum.bundle.onnx_file import read_card, read_model
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.evaluation.before import before_calibration
from hilum.measures.figure import EvaluationError


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return hospital(tmp_path_factory.mktemp("hospital"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return settable_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory, manifest: Path, bundle: Path) -> Path:
    before = bundle.read_bytes()
    out = tmp_path_factory.mktemp("local") / "local.onnx"
    answer = run("calibrate", bundle, manifest, "-o", out, "--target", "sensitivity=0.9")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith("figure\tbefore\tafter\tchange\nLog loss\t")
    assert answer.stdout.endswith(f"bundle: {out}\n")
    for says in (
        "fitted to 239 films of 120 patients, 79 with pneumonia",
        "precision: a sensitivity of",
        "gate: limit ",
    ):
        assert says in answer.stderr, answer.stderr
    assert bundle.read_bytes() == before
    return out


def films_of(manifest: Path) -> list[Path]:
    made = load_manifest(manifest)
    return [made.path(path) for path in made.table["path"]]


def test_the_new_bundle_answers_along_the_line_on_its_card(manifest: Path, bundle: Path, local: Path) -> None:
    was, now = hilum.load(bundle), hilum.load(local)
    line = now.card.calibration
    assert line is not None and now.card.gate is not None and (line.slope, line.offset) != (1, 0)
    for path in films_of(manifest)[:12]:
        old, new = was.look(path), now.look(path)
        odds = np.log(old.probabilities[1] / old.probabilities[0])
        assert new.probabilities[1] == pytest.approx(1 / (1 + np.exp(-line.slope * odds - line.offset)), abs=1e-6)
        assert new.gate.distance == pytest.approx(old.gate.distance / now.card.gate.limit, rel=1e-5)  # type: ignore[operator]
        np.testing.assert_array_equal(new.heatmaps, old.heatmaps)


def test_its_points_hold_on_the_films_they_were_set_on(manifest: Path, local: Path) -> None:
    now = hilum.load(local)
    assert now.card.default_point == "sensitive"
    passed, truth = [], []
    for path in films_of(manifest):
        reading = now.look(path)
        if reading.gate.passed:
            passed.append(reading)
            truth.append(path.parent.name == "PNEUMONIA")
    for point in now.card.operating_points:
        answers = [now.decide(reading, Asked(operating_point=point.name)) for reading in passed]
        called = np.array([answer.to_dict()["decision"] == "pneumonia" for answer in answers])
        assert called[truth].mean() == pytest.approx(point.sensitivity)
        assert (~called[~np.array(truth)]).mean() == pytest.approx(point.specificity)
    assert "sensitivity of at least 0.9 on average over new films" in now.card.point().rule


def test_the_card_says_from_what_and_keeps_its_parents_figures(manifest: Path, bundle: Path, local: Path) -> None:
    card, parent = read_card(local), read_card(bundle)
    assert card.local is not None
    assert card.parents[0].digest == read_model(bundle)["hilum.digest"]
    assert card.parents[0].operating_points == parent.operating_points
    assert (card.local.films, card.local.patients) == (240, 120)
    assert card.local.manifest == load_manifest(manifest).digest
    (fit,) = card.local.fits
    assert fit.after["log_loss"][0] < fit.before["log_loss"][0]
    assert fit.after["ece"][0] < fit.before["ece"][0]
    shown = run("show", local).stdout
    assert "chosen and measured on local films" in shown and "Local films, before and after" in shown
    assert json.loads(run("show", local, "--json").stdout)["local"]["films"] == 240


def test_the_card_keeps_no_film_and_no_patient(manifest: Path, local: Path) -> None:
    text = local.read_bytes().decode("latin-1")
    table = load_manifest(manifest).table
    assert "secret-" not in text and "film00" not in text
    assert not any(read_card(local).data.holds(digest) for digest in table["file_digest"])
    page = local.with_suffix(".html").read_text()
    assert "secret-" not in page and "film00" not in page


def test_the_report_shows_both_reliability_diagrams_and_the_figures(local: Path) -> None:
    page = local.with_suffix(".html").read_text()
    assert "Reliability, before" in page and "Reliability, after" in page
    assert page.count("<svg") == 2
    for name in ("Log loss", "ECE", "Sensitivity at sensitive", "Specificity at specific"):
        assert name in page


def test_the_usual_commands_take_it(manifest: Path, local: Path, tmp_path: Path) -> None:
    predicted = run("predict", films_of(manifest)[0], "--model", local)
    assert predicted.returncode == 0 and "sensitive" in predicted.stderr
    evaluated = run("evaluate", local, manifest, "--split", "all", "-o", tmp_path / "report")
    assert evaluated.returncode == 0, evaluated.stderr
    assert "calibrated to films of this very manifest" in evaluated.stderr


def test_what_calibration_did_can_be_undone(manifest: Path, bundle: Path, local: Path) -> None:
    was, now = hilum.load(bundle), hilum.load(local)
    path = films_of(manifest)[3]
    old, new = (model.look(path).probabilities.astype(np.float64) for model in (was, now))
    before, why = before_calibration(now.card, new[1:], new[None])
    assert before is not None and not why
    assert before[0] == pytest.approx(old[1], abs=1e-6)


def test_films_judged_before_give_the_same_fit_at_once(
    manifest: Path, bundle: Path, local: Path, tmp_path: Path
) -> None:
    hilum.evaluate(bundle, manifest, split="all", out=tmp_path / "judged")
    again = hilum.calibrate(bundle, tmp_path / "judged", targets={"sensitivity": 0.9})
    assert again.outcome.gate is None and any("gate's limit stays" in line for line in again.sentences())
    assert [point.name for point in again.card.operating_points] == ["balanced", "sensitive", "specific"]
    passed = [reading.gate.passed for reading in map(hilum.load(bundle).look, films_of(manifest))]
    (part,) = again.outcome.parts
    assert len(part.films.truth) == sum(map(bool, passed)) < 240
    (anew,) = hilum.calibrate(bundle, manifest, targets={"sensitivity": 0.9}).outcome.parts
    kept = np.isin(anew.films.odds, part.films.odds)
    np.testing.assert_array_equal(anew.films.odds[kept], part.films.odds)
    with pytest.raises(EvaluationError, match="another bundle"):
        hilum.calibrate(local, tmp_path / "judged")


def test_a_bundle_calibrated_twice_is_calibrated_on_top(manifest: Path, local: Path, tmp_path: Path) -> None:
    """The same films find nothing more to change."""
    twice = hilum.calibrate(local, manifest, tmp_path / "twice.onnx", targets={"sensitivity": 0.9})
    once, more = read_card(local).calibration, twice.card.calibration
    assert once is not None and more is not None
    assert more.slope == pytest.approx(once.slope, abs=0.05) and more.offset == pytest.approx(once.offset, abs=0.1)
    assert twice.card.parents[0].digest == read_model(local)["hilum.digest"]
    assert twice.card.name.count("-local") == 1


def test_digests_are_kept_for_who_asks(manifest: Path, bundle: Path, tmp_path: Path) -> None:
    hilum.calibrate(bundle, manifest, tmp_path / "local.onnx", keep_digests=True)
    with pytest.raises(EvaluationError, match=r"trained or calibrated on 240 .* from its local split"):
        hilum.evaluate(tmp_path / "local.onnx", manifest, split="all")


def test_too_few_films_are_refused_before_any_is_judged(
    manifest: Path, bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = load_manifest(manifest)
    few = manifest.parent / "few.parquet"
    save_manifest(Manifest(made.table.head(60), made.folder), few)
    monkeypatch.setattr("hilum.bundle.predictor.Predictor.readings", lambda *_: pytest.fail("a film was judged"))
    with pytest.raises(EvaluationError, match=r"sensitivity of at least 0\.95 needs 20 with"):
        hilum.calibrate(bundle, few, tmp_path / "local.onnx")
    answer = run("calibrate", bundle, few, "-o", tmp_path / "local.onnx")
    assert answer.returncode == 1 and answer.stderr.count("\n") == 1
    assert "--plan" in answer.stderr and not list(tmp_path.iterdir())


def test_without_labels_the_gate_alone_is_fitted(bundle: Path, tmp_path: Path, manifest: Path) -> None:
    made = load_manifest(manifest)
    bare = manifest.parent / "bare.parquet"
    nothing = made.table.with_columns(label=pl.lit(None, pl.String), pneumonia=pl.lit(None, pl.Boolean))
    save_manifest(Manifest(nothing, made.folder), bare)
    answer = run("calibrate", bundle, bare, "-o", tmp_path / "local.onnx", "--unlabelled")
    assert answer.returncode == 0, answer.stderr
    assert "without labels, calibration and thresholds stay as they were" in answer.stderr
    card, parent = read_card(tmp_path / "local.onnx"), read_card(bundle)
    assert card.operating_points == parent.operating_points and card.calibration == parent.calibration
    assert card.gate is not None and card.gate.limit != 1 and card.local is not None and card.local.fits == []
    refused = run("calibrate", bundle, bare, "-o", tmp_path / "l.onnx", "--unlabelled", "--target", "sensitivity=0.9")
    assert refused.returncode == 1 and "without labels no threshold is set" in refused.stderr


def test_groups_of_patients_are_fitted_apart(tmp_path: Path) -> None:
    """Films of children alone leave what is said of adults as it was."""
    bundle, manifest = settable_group_bundle(tmp_path), hospital(tmp_path / "films", 200, ages=[4.0])
    made = hilum.calibrate(bundle, manifest, tmp_path / "local.onnx")
    before, after = read_card(bundle), read_card(tmp_path / "local.onnx")
    assert after.group("adult") == before.group("adult")
    assert after.group("child").operating_points != before.group("child").operating_points
    assert any("for adults: films of 0 patients with pneumonia" in line for line in made.sentences())
    was, now = (
        hilum.load(path).look(films_of(manifest)[5]).probabilities for path in (bundle, tmp_path / "local.onnx")
    )
    np.testing.assert_allclose(now[1], was[1], rtol=1e-5)
    assert np.abs(now[0] - was[0]).max() > 0.01
    np.testing.assert_allclose(now[0][2] / now[0][3], was[0][2] / was[0][3], rtol=1e-4)
    both = hilum.calibrate(bundle, hospital(tmp_path / "both", 240, ages=[4.0, 50.0]))
    assert [part.patient for part in both.outcome.parts] == ["child", "adult"]


def test_what_cannot_be_is_one_line(bundle: Path, manifest: Path, tmp_path: Path) -> None:
    old = tiny_bundle(tmp_path)
    for arguments, says in (
        ((old, manifest, "-o", tmp_path / "l.onnx"), "earlier hilum"),
        ((bundle, manifest, "-o", bundle), "the bundle that is calibrated"),
        ((bundle, manifest, "-o", tmp_path / "nowhere" / "l.onnx"), "there is no such folder"),
        ((bundle, manifest, "-o", tmp_path / "l.pt"), "ends in .onnx"),
        ((bundle, manifest, "-o", tmp_path / "l.onnx", "--target", "accuracy=0.9"), "name sensitivity or specificity"),
        ((bundle, manifest, "-o", tmp_path / "l.onnx", "--target", "sensitivity=90"), "between 0 and 1"),
        ((bundle, tmp_path / "none.csv", "-o", tmp_path / "l.onnx"), "there is no such manifest"),
    ):
        answer = run("calibrate", *arguments)
        assert answer.returncode == 1, (arguments, answer.stderr)
        assert re.search(says, answer.stderr) and answer.stderr.count("\n") == 1, answer.stderr
    with pytest.raises(BundleError, match="earlier hilum"):
        hilum.calibrate(old, manifest)


def test_a_plan_needs_neither_bundle_nor_films() -> None:
    answer = run("calibrate", "--plan", "--prevalence", "0.2", "--sensitivity", "0.9", "--width", "0.1")
    assert answer.returncode == 0
    assert "sensitivity 0.9 to 0.1\t141\t\t705\t774\n" in answer.stdout
    usage = run("calibrate", "default", "films", "--prevalence", "0.2")
    assert usage.returncode == 2 and "goes with --plan" in usage.stderr
    assert run("calibrate").returncode == 2
