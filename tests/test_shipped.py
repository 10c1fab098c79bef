"""The model in the box: small, honest about itself, and right on films that nobody trained on."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from bundles import answered
from conftest import PYDICOM_DATA_FILES
from PIL import Image
from sklearn.metrics import roc_auc_score

import hilum
from hilum import Asked
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.bundle.shipped import find_bundle

MOST_BYTES = 15_000_000  # it travels to browsers
FILM = PYDICOM_DATA_FILES / "RG1_UNCR.dcm"
ADULT_TEST = Path(__file__).parents[1] / "results" / "adult-test.csv"


def test_it_is_small_and_says_what_it_is_for() -> None:
    assert find_bundle(None).stat().st_size <= MOST_BYTES
    card = hilum.load().card
    assert card.task == "detection"
    assert [group.name for group in card.groups] == ["child", "adult"]
    assert "not a medical device" in card.intended_use
    assert "non-commercial" in card.data.license
    assert card.gate is not None
    assert card.data.split_by == "patient"


def test_a_real_film_gets_decision_boxes_heatmap_and_lungs_from_one_command(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "hilum",
        "predict",
        str(FILM),
        "--json",
        "--box-threshold",
        "0",
        "--heatmap",
        "drawn",
    ]
    answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=tmp_path)
    row = json.loads(answer.stdout)
    assert row["decision"] in ("pneumonia", "no_pneumonia")
    assert row["gate"]["passed"]
    assert row["boxes"] and row["patient_group"]
    with Image.open(tmp_path / "drawn" / "RG1_UNCR.dcm.png") as picture:
        assert min(picture.size) > 500
    seen = answered(hilum.load().predict(FILM))
    assert seen.heatmap is not None and seen.lungs is not None
    assert 0.06 < (seen.lungs >= 128).mean() < 0.7, "a pair of lungs was found on a whole chest film"


def test_a_file_of_that_name_comes_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("default").mkdir()
    assert find_bundle("default").is_file()
    Path("default").rmdir()
    Path("default").write_bytes(b"no model")
    assert find_bundle("default") == Path("default")


def test_what_is_no_upright_film_is_turned_away(tmp_path: Path) -> None:
    film = np.rint(hilum.read(FILM).pixels * 255).astype(np.uint8)
    noise = np.random.default_rng(1).integers(0, 256, (300, 300), np.uint8)
    paths = []
    for what, pixels in {"noise": noise, "inverted": 255 - film, "turned": np.rot90(film)}.items():
        paths.append(tmp_path / f"{what}.png")
        Image.fromarray(np.ascontiguousarray(pixels)).save(paths[-1])
    assert [answer.decision for answer in hilum.load().stream(paths)] == ["abstain"] * 3


def test_what_is_no_chest_film_is_called_so_and_a_film_put_wrong_is_named(real_data: Path) -> None:
    """Hip films once came back as inverted. Of real chest films turned or inverted nine of ten are said to be that."""
    model = hilum.load()
    hips = [path for path in sorted((real_data / "dicom").glob("*.dcm")) if "RG2_" in path.name or "RG3_" in path.name]
    assert {seen.gate.reason for seen in looked(model, hips)} == {"not_a_chest_film"}
    paths = [
        *sorted((real_data / "kermany-original/train").glob("*/*.jpeg"))[::6],
        *sorted((real_data / "nih-adult-256/images").glob("*.jpg"))[:10],
    ]
    films = [hilum.read(path) for path in paths]
    wrong = {"inverted": [film.inverted() for film in films]}
    wrong["rotated"] = [turned(film, 1 + n % 3) for n, film in enumerate(films)]
    for reason, pictures in wrong.items():
        named = [seen.gate.reason for seen in looked(model, pictures)]
        assert named.count(reason) >= 0.9 * len(named) and None not in named
    upright = [seen.gate.passed is True for seen in looked(model, [film.inverted() for film in films], invert=True)]
    assert np.mean(upright) >= 0.9


def turned(film: hilum.Radiograph, quarters: int) -> hilum.Radiograph:
    pixels = np.ascontiguousarray(np.rot90(film.pixels, quarters))
    return replace(film, pixels=pixels, height=pixels.shape[0], width=pixels.shape[1])


def looked(model: Predictor, films: Sequence[Path | hilum.Radiograph], invert: bool = False) -> list[Reading]:
    readings = list(model.readings(films, invert=invert))
    assert all(isinstance(reading, Reading) for reading in readings)
    return [reading for reading in readings if isinstance(reading, Reading)]


def test_children_are_told_apart_by_disease(real_data: Path) -> None:
    """Of Kermany's official test films, which neither training nor validation saw, every eighth."""
    films = [
        film for kind in ("NORMAL", "PNEUMONIA") for film in sorted((real_data / "kermany-224/test" / kind).glob("*"))
    ]
    assert auroc(films[::8], [film.parent.name == "PNEUMONIA" for film in films[::8]]) > 0.95


def test_adults_are_told_apart_by_opacity(real_data: Path) -> None:
    """Of the adult films kept for testing, every third that is normal or shows an opacity."""
    with ADULT_TEST.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["rsna_class"] != "not_normal"][::3]
    films = [real_data / "nih-adult-256" / "images" / row["image"] for row in rows]
    assert auroc(films, [row["rsna_class"] == "lung_opacity" for row in rows]) > 0.9


def auroc(films: list[Path], sick: list[bool]) -> float:
    answers = hilum.load().stream(films, Asked(gate=False, heatmaps=False))
    return float(roc_auc_score(sick, [answered(answer).probability for answer in answers]))
