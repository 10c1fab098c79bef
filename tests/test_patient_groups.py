"""A bundle that answers for children and for adults apart: whose film it is, what is said of it, and why."""

from __future__ import annotations

import csv
import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import answered, expected_of_group, tiny_bundle, tiny_card, tiny_group_bundle
from commands import run as command
from films import dicom, film
from PIL import Image

import hilum
from hilum.bundle.card import BundleError, card_from_json
from hilum.bundle.card_page import as_markdown, sections
from hilum.bundle.onnx_file import read_card
from hilum.bundle.prediction import Prediction
from hilum.bundle.predictor import Predictor

DARK, GREY, BRIGHT = (np.full((64, 64), level, np.uint8) for level in (40, 96, 125))  # all of them pass the gate


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_group_bundle(tmp_path_factory.mktemp("groups"))


@pytest.fixture(scope="module")
def model(bundle: Path) -> Predictor:
    return hilum.load(bundle)


def of_age(levels: np.ndarray, age: str | None = None) -> bytes:
    """A DICOM film with these grey levels, as they are shown."""
    elements: dict[str, Any] = {} if age is None else {"PatientAge": age}
    window: dict[str, Any] = {"WindowCenter": 128, "WindowWidth": 256}
    return dicom(levels.astype(np.uint16), BitsStored=8, HighBit=7, **window, **elements)


def textured(levels: np.ndarray) -> np.ndarray:
    """Not blank, with the same mean: what the tiny network sees is unchanged."""
    return np.asarray(levels + np.where(np.indices(levels.shape).sum(0) % 2, 8, -8), np.uint8)


def test_what_is_asked_comes_before_the_header_and_the_header_before_the_network(model: Any) -> None:
    dark = textured(DARK)
    asked, aged, alone = hilum.Asked(patient="child"), of_age(dark, "017Y"), of_age(dark)
    by_network = answered(model.predict(alone)).patient_group
    assert by_network is not None and (by_network.name, by_network.by) == ("adult", "network")
    assert by_network.probability == pytest.approx((1 - dark.mean() / 255) ** 2, abs=0.02)
    assert answered(model.predict(aged)).patient_group == ("child", "dicom_age", None)
    assert answered(model.predict(of_age(dark, "018Y"))).patient_group == ("adult", "dicom_age", None)
    assert answered(model.predict(of_age(dark, "018Y"), asked)).patient_group == ("child", "asked", None)
    bright = answered(model.predict(of_age(textured(BRIGHT)))).patient_group
    assert bright is not None and (bright.name, bright.by) == ("child", "network")


@pytest.mark.parametrize("patient", ["child", "adult"])
@pytest.mark.parametrize("levels", [DARK, GREY, BRIGHT], ids=["dark", "grey", "bright"])
def test_each_group_has_its_own_calibration_and_threshold(model: Any, levels: np.ndarray, patient: Any) -> None:
    answer = answered(model.predict(film(textured(levels)), hilum.Asked(patient=patient)))
    expected = expected_of_group(textured(levels), patient)
    assert answer.probability == pytest.approx(expected[2:].sum(), abs=1e-5)
    assert answer.threshold == (0.5 if patient == "child" else 0.3)
    assert (answer.decision == "pneumonia") == (expected[2:].sum() >= answer.threshold)
    sensitive = answered(model.predict(film(textured(levels)), hilum.Asked("sensitive", patient=patient)))
    assert (sensitive.operating_point, sensitive.threshold) == ("sensitive", answer.threshold / 2)
    own = answered(model.predict(film(textured(levels)), hilum.Asked(threshold=0.9, patient=patient)))
    assert (own.operating_point, own.threshold) == (None, 0.9)


def test_kinds_are_answered_where_validation_knows_them(model: Any) -> None:
    child = answered(model.predict(film(textured(BRIGHT)), hilum.Asked(patient="child")))
    adult = answered(model.predict(film(textured(BRIGHT)), hilum.Asked(patient="adult")))
    assert list(child.probabilities) == ["normal", "other_finding", "bacterial", "viral"]
    assert list(adult.probabilities) == ["normal", "other_finding", "pneumonia"]
    assert adult.probabilities["pneumonia"] == adult.probability
    assert sum(adult.probabilities.values()) == pytest.approx(1)


def test_one_reading_serves_both_groups_and_keeps_no_age(model: Any) -> None:
    reading = model.look(of_age(textured(GREY), "041Y"))
    assert "age=" not in repr(reading).replace("patient_by_age", "") and "41.0" not in repr(reading)
    assert reading.patient_by_age == "adult"
    groups = [model.decide(reading, hilum.Asked(patient=who)).patient_group.name for who in ("child", "adult", None)]
    assert groups == ["child", "adult", "adult"]
    assert pickle.loads(pickle.dumps(reading)).patient_by_age == "adult"


def test_not_normal_is_said_where_there_is_no_pneumonia(model: Any) -> None:
    findings = [
        answered(model.predict(film(textured(levels)), hilum.Asked(patient="child"))) for levels in (DARK, GREY)
    ]
    assert [answer.finding for answer in findings] == ["normal", "other_finding"]
    sick = answered(model.predict(film(textured(GREY)), hilum.Asked(threshold=0.1, patient="child")))
    assert (sick.decision, sick.finding) == ("pneumonia", "pneumonia")
    assert "yet not normal" in repr(findings[1]) and "yet not normal" in findings[1]._repr_html_()
    assert "yet not normal" not in repr(findings[0])


def test_what_is_not_answered_has_no_group(model: Any) -> None:
    failed, away = model.predict([b"nothing", film(np.zeros((64, 64), np.uint8))], hilum.Asked(patient="adult"))
    for prediction in (failed, away):
        plain = prediction.to_dict()
        assert plain["patient_group"] is plain["finding"] is plain["threshold"] is None
        assert plain["operating_point"] == "balanced"


def test_other_bundles_say_nothing_of_groups(tmp_path: Path) -> None:
    path = tiny_bundle(tmp_path)
    answer = answered(hilum.load(path).predict(of_age(textured(GREY), "041Y")))
    plain = answer.to_dict()
    assert plain["patient_group"] is plain["finding"] is None
    assert not {"patient_group", "finding"} & answer.to_row().keys()
    with pytest.raises(BundleError, match=r"tiny\.onnx: answers for children and adults alike"):
        hilum.load(path).predict(film(GREY), hilum.Asked(patient="child"))


def test_a_patient_who_is_neither_is_refused(model: Any) -> None:
    with pytest.raises(BundleError, match="say child or adult"):
        model.predict(film(GREY), hilum.Asked(patient="baby"))  # type: ignore[arg-type]


def write_films(folder: Path) -> Path:
    folder.mkdir()
    (folder / "aged.dcm").write_bytes(of_age(textured(GREY), "041Y"))
    Image.fromarray(textured(GREY)).save(folder / "child.png")
    (folder / "broken.png").write_bytes(b"nothing")
    return folder


def test_the_command_says_the_group_and_why(bundle: Path, tmp_path: Path) -> None:
    films = write_films(tmp_path / "films")
    table = tmp_path / "rows.csv"
    answer = command("predict", bundle, films, "--csv", table, "--heatmap", tmp_path / "drawn", cwd=tmp_path)
    assert answer.returncode == 1 and "child 0.5, adult 0.3" in answer.stderr
    assert "adult, by the age in its DICOM header" in answer.stdout
    assert "child, as the network says (" in answer.stdout and "no pneumonia, yet not normal" in answer.stdout
    assert (tmp_path / "drawn" / "aged.dcm.png").stat().st_size > 5000
    with table.open(newline="", encoding="utf-8") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert rows["aged.dcm"]["patient_group"] == "adult" and rows["aged.dcm"]["p_bacterial"] == ""
    assert rows["child.png"]["patient_group_by"] == "network" and float(rows["child.png"]["p_bacterial"]) > 0
    assert float(rows["child.png"]["patient_group_probability"]) > 0.5
    assert rows["broken.png"]["patient_group"] == "" and rows["broken.png"]["error"]
    assert "041" not in json.dumps(rows["aged.dcm"]) and "41Y" not in answer.stdout + answer.stderr
    lines = command("predict", bundle, films / "child.png", "--json", "--patient", "adult", cwd=tmp_path).stdout
    plain = json.loads(lines)
    assert plain["patient_group"] == {"name": "adult", "by": "asked", "probability": None}
    assert plain["finding"] in ("normal", "other_finding") and plain["threshold"] == 0.3


def test_the_command_names_whom_it_knows(bundle: Path, tmp_path: Path) -> None:
    answer = command("predict", bundle, "x.png", "--patient", "senior", cwd=tmp_path)
    assert answer.returncode == 2 and "child" in answer.stderr and "adult" in answer.stderr
    answer = command("predict", tiny_bundle(tmp_path), write_films(tmp_path / "f"), "--patient", "child", cwd=tmp_path)
    assert answer.returncode == 1 and "children and adults alike" in answer.stderr


def test_cards_of_format_1_open_as_they_were() -> None:
    plain = json.loads(tiny_card().to_json())
    del plain["groups"]
    old = card_from_json(json.dumps(plain | {"format": 1}))
    assert old.groups == [] and old.point("sensitive").threshold == 0.2


def test_the_card_shows_each_group(bundle: Path) -> None:
    card = read_card(bundle)
    page = as_markdown(card, sections(card, 1000, "0" * 32))
    for words in ("Operating points for children", "Operating points for adults", "answered as their sum", "95.0%"):
        assert words in page
    assert card.point("sensitive", "adult").threshold == 0.15
    with pytest.raises(BundleError, match="children and of adults; say whose"):
        card.point()
    with pytest.raises(BundleError, match="no operating point is called best"):
        card.point("best", "child")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        (lambda card: {"groups": card.groups[:1]}, "not child and adult"),
        (lambda card: {"groups": card.groups[::-1]}, "not child and adult"),
        (lambda card: {"calibration": card.groups[0].calibration}, "calibration"),
        (lambda card: {"groups": []}, "calibration"),
        (lambda card: {"operating_points": card.groups[0].operating_points}, "calibration"),
        (
            lambda card: {
                "groups": [card.groups[0], replace(card.groups[1], operating_points=[card.point(None, "adult")])]
            },
            "different names",
        ),
    ],
)
def test_a_card_whose_groups_do_not_go_together_is_refused(bundle: Path, changes: Any, words: str) -> None:
    card = read_card(bundle)
    with pytest.raises(BundleError, match=words):
        replace(card, **changes(card))


def test_a_graph_without_the_groups_of_its_card_is_refused(tmp_path: Path, bundle: Path) -> None:
    from bundles import _write, tiny_model

    card = read_card(bundle)
    path = _write(tiny_model(card, heatmaps=False), card, tmp_path / "wrong.onnx")
    with pytest.raises(BundleError, match="gives no probabilities as its card says"):
        hilum.load(path)


def test_a_network_unsure_of_the_group_in_no_number_decides_nothing(model: Any) -> None:
    reading = replace(model.look(film(textured(GREY))), groups=np.array([np.nan, 0.5], np.float32))
    prediction: Prediction = model.decide(reading)
    assert isinstance(prediction, hilum.Failed) and prediction.reason == "not_a_number"
