"""Evaluation of a bundle that answers for children and adults apart, on labels that do not always say which class."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from bundles import expected_of_group, tiny_card, tiny_group_bundle
from judged import write_data_set
from PIL import Image

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.evaluation.evaluate import Report
from hilum.evaluation.predictions import load_predictions
from hilum.measures.figure import EvaluationError
from hilum.radiograph.patient import Patient

CLASSES = {
    "normal": ["normal", "negative"],
    "other_finding": ["not_normal", "negative"],
    "bacterial": ["bacterial", "lung_opacity"],
    "viral": ["viral", "lung_opacity"],
}
AGES = (4.0, 50.0, None, 17.0, 18.0)  # of two patients after each other


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Labels of children say which pneumonia, those of adults do not; some say only that there is none."""
    path = write_data_set(tmp_path_factory.mktemp("films"), 80)
    made = load_manifest(path)
    ages = [AGES[row // 2 % len(AGES)] for row in range(made.table.height)]
    labels = []
    for row, (sick, age) in enumerate(zip(made.table["pneumonia"], ages, strict=True)):
        adult = age is None or age >= 18
        kinds = ["lung_opacity"] if adult else ["bacterial", "viral"]
        labels.append(kinds[row % len(kinds)] if sick else ("normal", "not_normal", "negative")[row % 3])
    table = made.table.with_columns(
        pl.Series("age", ages),
        pl.Series("label", labels),
        pl.lit(None, pl.Boolean).alias("pneumonia"),
        split=pl.lit("test"),
    )
    save_manifest(Manifest(table, made.folder), path)
    return path


@pytest.fixture(scope="module")
def report(manifest: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    folder = tmp_path_factory.mktemp("report")
    recipe = tiny_card().recipe | {"classes": CLASSES}
    return hilum.evaluate(tiny_group_bundle(folder, recipe=recipe), manifest, out=folder / "report")


def truths(manifest: Path) -> dict[str, tuple[Patient, np.ndarray, str]]:
    """Of each film whose it is, what the bundle must say of its classes, and its label."""
    made = load_manifest(manifest)
    found: dict[str, tuple[Patient, np.ndarray, str]] = {}
    for path, age, label in made.table.select("path", "age", "label").iter_rows():
        with Image.open(made.path(path)) as picture:
            levels = np.asarray(picture.resize((64, 64), Image.Resampling.BILINEAR, reducing_gap=3.0))
        dark = 1 - levels.mean() / 255
        patient: Patient = "adult" if (dark**2 > 0.5 if age is None else age >= 18) else "child"
        found[path] = (patient, expected_of_group(levels, patient), label)
    return found


def test_every_film_is_judged_as_its_own_group(report: Report, manifest: Path) -> None:
    expected = truths(manifest)
    rows = report.rows()
    assert len(rows) == len(expected) and {row["patient_group"] for row in rows} == {"child", "adult"}
    for row in rows:
        patient, shares, _ = expected[row["path"]]
        assert row["patient_group"] == patient
        assert row["probability"] == pytest.approx(shares[2:].sum(), abs=2e-3)
        assert row["threshold"] == {"child": 0.5, "adult": 0.3}[patient]
        called = "pneumonia" if row["probability"] >= row["threshold"] else "no_pneumonia"
        assert row["decision"] in (called, "abstain")


def test_figures_of_children_and_adults_stand_beside_the_whole(report: Report, manifest: Path) -> None:
    rows = report.rows()
    groups = {group.name: group for group in report.evaluation.subgroups["patient_group"]}
    for patient, group in groups.items():
        called = [
            row["probability"] >= row["threshold"] for row in rows if row["patient_group"] == patient and row["truth"]
        ]
        assert group.figures["sensitivity"].value == pytest.approx(np.mean(called))
        assert group.figures["sensitivity"].of == len(called)
    every = [row["probability"] >= row["threshold"] for row in rows if row["truth"]]
    assert report.figures["sensitivity"].value == pytest.approx(np.mean(every))
    page = report.document
    assert any(name.endswith(", children") for name, *_ in report.summary())
    assert "0.5000 for children, 0.3000 for adults" in page.answer
    plain = report.to_dict()
    assert plain["operating_point"]["thresholds"] == {"child": 0.5, "adult": 0.3}
    assert [group["name"] for group in plain["subgroups"]["patient_group"]] == ["adult", "child"]


def test_not_normal_is_no_pneumonia_and_several_classes_are_no_error(report: Report, manifest: Path) -> None:
    expected = truths(manifest)
    rows = report.rows()
    assert all(row["truth"] == (row["label"] in ("bacterial", "viral", "lung_opacity")) for row in rows)
    assert {row["target"] for row in rows if row["label"] in ("lung_opacity", "negative")} == {None}
    assert {row["target"] for row in rows if row["label"] == "not_normal"} == {"other_finding"}
    unsure = {each.may_be: each for each in report.evaluation.unsure}
    for may_be, label, numbers in (
        (("bacterial", "viral"), "lung_opacity", (2, 3)),
        (("normal", "other_finding"), "negative", (0, 1)),
    ):
        called = [shares.argmax() for _, shares, own in expected.values() if own == label]
        assert unsure[may_be].films == sum(unsure[may_be].called) == len(called)
        assert unsure[may_be].right == sum(number in numbers for number in called)
    assert report.evaluation.by_class is not None
    sure = sum(label not in ("lung_opacity", "negative") for _, _, label in expected.values())
    assert report.evaluation.by_class.confusion.sum() == sure


def test_what_is_written_reads_back_and_is_compared(report: Report, tmp_path: Path) -> None:
    folder = report.save(tmp_path / "report").parent
    loaded, judged = load_predictions(folder), report.evaluation.judgement.predictions
    np.testing.assert_array_equal(loaded.thresholds, judged.thresholds)
    assert loaded.patient_groups == judged.patient_groups and loaded.threshold is None
    compared = hilum.compare([report, folder])
    assert compared.rows()[0]["threshold"] is None and compared.summary()[0][1] == "by group"
    page = (folder / "report.html").read_text(encoding="utf-8")
    for words in ("Children and adults", "Truly bacterial or viral", "stands for normal or other_finding"):
        assert words in page
    table = folder / "predictions.csv"
    with table.open(encoding="utf-8", newline="") as file:
        rows = list(csv.reader(file))
    rows[1][rows[0].index("threshold")] = "0.9"
    with table.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows(rows)
    with pytest.raises(EvaluationError, match="several thresholds"):
        load_predictions(folder)
