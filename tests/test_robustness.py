"""`hilum robustness`: films changed as they may come out otherwise, and what becomes of a bundle's answers."""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bundles import tiny_bundle, tiny_card
from commands import run
from judged import write_data_set
from PIL import Image
from scipy import ndimage
from sklearn import metrics

import hilum
from hilum import Asked
from hilum.bundle.card import pack_digests
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.robustness import robustness
from hilum.evaluation.robustness.changes import CHANGES, changed
from hilum.measures.bootstrap import draw

FILMS = 12
BY_NAME = {change.name: change for change in CHANGES}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_data_set(tmp_path_factory.mktemp("films"))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_bundle(tmp_path_factory.mktemp("bundle"))


@pytest.fixture(scope="module")
def tried(tmp_path_factory: pytest.TempPathFactory, manifest: Path, bundle: Path) -> Path:
    folder = tmp_path_factory.mktemp("tried") / "robustness"
    answer = run("robustness", bundle, manifest, "--films", str(FILMS), "-o", folder)
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.startswith(f"On {FILMS} films as they are: AUROC 0.")
    assert answer.stderr == f"report: {folder / 'robustness.html'}\n"
    return folder


def film() -> hilum.Radiograph:
    pixels = np.random.default_rng(5).random((90, 70), np.float32)
    return hilum.read(np.rint(ndimage.gaussian_filter(pixels, 2) * 255).astype(np.uint8))


def test_at_its_neutral_strength_a_change_changes_nothing() -> None:
    one = film()
    for change in CHANGES:
        if change.neutral is not None and change.name not in ("JPEG", "smaller copy", "blur", "marker in a corner"):
            np.testing.assert_allclose(changed(change, change.neutral, one, 0).pixels, one.pixels, atol=1e-6)


def test_changed_films_are_films() -> None:
    for change in CHANGES:
        for strength in change.strengths:
            made = changed(change, strength, film(), 3)
            assert made.pixels.dtype == np.float32 and (made.height, made.width) == made.pixels.shape
            assert made.pixels.min() >= 0 and made.pixels.max() <= 1


def test_blur_rotation_noise_and_jpeg_are_what_they_are_called() -> None:
    one = film()
    height, width = one.pixels.shape
    blurred = changed(BY_NAME["blur"], 2.0, one, 0).pixels
    sigma = (2 * height / 224, 2 * width / 224)
    np.testing.assert_allclose(blurred, ndimage.gaussian_filter(one.pixels, sigma, mode="mirror"), atol=0.01)
    turned = changed(BY_NAME["rotation"], 10, one, 0).pixels
    expected = ndimage.rotate(one.pixels, -10, reshape=False, order=1, mode="nearest")
    np.testing.assert_allclose(turned[5:-5, 5:-5], expected[5:-5, 5:-5], atol=0.02)
    grey = replace(one, pixels=np.full((224, 224), 0.5, np.float32))
    noise = changed(BY_NAME["noise"], 0.04, grey, 7).pixels
    assert noise.std() == pytest.approx(0.04, rel=0.02)
    assert (noise == changed(BY_NAME["noise"], 0.04, grey, 7).pixels).all()
    assert (noise != changed(BY_NAME["noise"], 0.04, grey, 8).pixels).any()
    written = BytesIO()
    Image.fromarray(np.rint(one.pixels * 255).astype(np.uint8)).save(written, "JPEG", quality=30)
    assert (changed(BY_NAME["JPEG"], 30, one, 0).pixels == np.asarray(Image.open(written), np.float32) / 255).all()


def test_the_table_holds_what_the_bundle_says_of_changed_films(tried: Path, manifest: Path, bundle: Path) -> None:
    table = load_manifest(manifest).table.filter(pl.col("split") == "test")
    drawn = np.sort(np.random.default_rng(1).permutation(table.height)[:FILMS])
    films, model = table[drawn.tolist()], hilum.load(bundle)
    truth = films["pneumonia"].to_numpy()
    read = [hilum.read(manifest.parent / path) for path in films["path"]]

    def judged(darker: float) -> tuple[np.ndarray, np.ndarray]:
        dark = [replace(each, pixels=np.clip(each.pixels + np.float32(darker), 0, 1)) for each in read]
        answers = [model.predict(each, Asked(gate=False)) for each in dark]
        away = [model.predict(each).decision == "abstain" for each in dark]
        return np.array([getattr(answer, "probability", None) for answer in answers]), np.array(away)

    with (tried / "robustness.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    row = next(row for row in rows if (row["change"], row["strength"]) == ("brightness", "-0.1"))
    (before, _), (after, away) = judged(0), judged(-0.1)
    assert float(row["auroc"]) == pytest.approx(metrics.roc_auc_score(truth, after), abs=1e-4)
    assert float(row["sensitivity"]) == pytest.approx((after >= 0.5)[truth].mean(), abs=1e-4)
    assert float(row["specificity"]) == pytest.approx((after < 0.5)[~truth].mean(), abs=1e-4)
    assert float(row["mean_shift"]) == pytest.approx((after - before).mean(), abs=1e-4)
    assert float(row["turned_away"]) == pytest.approx(away.mean(), abs=1e-4)
    assert (rows[0]["change"], float(rows[0]["mean_change"])) == ("as it is", 0)
    # The interval is that of patients drawn again, both times the same ones.
    _, patient = np.unique(films["patient"].to_numpy(), return_inverse=True)
    gains = []
    for times in draw(int(patient.max()) + 1, 2000, 1):
        again = np.repeat(np.arange(FILMS), times[patient])
        sick = truth[again]
        if sick.any():
            gains.append((after >= 0.5)[again][sick].mean() - (before >= 0.5)[again][sick].mean())
    low, high = np.quantile(gains, [0.025, 0.975])
    ends = float(row["sensitivity_gain_low"]), float(row["sensitivity_gain_high"])
    assert ends == pytest.approx((low, high), abs=1e-4)


def test_all_files_hold_every_change(tried: Path) -> None:
    plain = json.loads((tried / "robustness.json").read_text(encoding="utf-8"))
    expected = [(change.name, strength) for change in CHANGES for strength in change.strengths]
    assert [(row["change"], row["strength"]) for row in plain["rows"]] == expected
    assert len((tried / "robustness.csv").read_text(encoding="utf-8").splitlines()) == len(expected) + 2
    with Image.open(tried / "robustness.png") as picture:
        assert picture.width > 900
    page = (tried / "robustness.html").read_text(encoding="utf-8")
    assert page.count("<svg") == len(CHANGES)
    assert "secret-" not in page + json.dumps(plain)


def test_a_film_that_cannot_be_read_is_left_out_and_counted_and_the_others_are_judged_as_ever(
    manifest: Path, bundle: Path, tried: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(robustness, "CHANGES", CHANGES[:2])
    given = load_manifest(manifest)
    before = json.loads((tried / "robustness.json").read_text(encoding="utf-8"))["rows"]
    test = given.table.filter(pl.col("split") == "test")
    whole = DataSet(Manifest(test, given.folder), manifest.name)
    again = asdict(robustness.measure_robustness(hilum.load(bundle), whole, robustness.Drawn(films=FILMS)))["rows"]
    assert [row["auroc"] for row in again] == [row["auroc"] for row in before[: len(again)]]
    broken = test.with_columns(path=pl.when(pl.int_range(pl.len()) == 3).then(pl.lit("gone.png")).otherwise("path"))
    without = DataSet(Manifest(broken, given.folder), manifest.name)
    made = robustness.measure_robustness(hilum.load(bundle), without, robustness.Drawn())
    assert (made.as_is.films, made.unreadable) == (23, 1)


def test_what_cannot_be_tried_is_said_in_one_line(manifest: Path, bundle: Path, tmp_path: Path) -> None:
    given = load_manifest(manifest)
    seen = replace(tiny_card().data, films={"train": pack_digests(given.table["file_digest"])})
    knowing = tiny_bundle(tmp_path, data=seen)
    healthy = given.table.filter(~pl.col("pneumonia"))
    save_manifest(Manifest(healthy, given.folder), manifest.parent / "healthy.parquet")
    (tmp_path / "file").touch()
    cases = [
        ((knowing, manifest), "judge it on other films"),
        ((bundle, manifest.parent / "healthy.parquet"), "films are without pneumonia"),
        ((bundle, manifest, "--split", "val"), "no film is in split val"),
        ((bundle, tmp_path / "none.parquet"), "no such manifest or folder"),
        ((bundle, manifest, "-o", tmp_path / "file"), "is a file"),
    ]
    for given_to, reason in cases:
        answer = run("robustness", *given_to)
        assert (answer.returncode, answer.stderr.count("\n")) == (1, 1), answer.stderr
        assert reason in answer.stderr
