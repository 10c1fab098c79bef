"""As a module of mercure: one folder in, DICOM results and result.json out, by the settings of the task."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from bundles import tiny_detection_bundle
from commands import run
from nodes import encoded, films
from pydicom import dcmread
from test_dicom_results import NAME


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_detection_bundle(tmp_path_factory.mktemp("bundle"), maps=True)


def task(folder: Path, process: Any) -> None:
    (folder / "task.json").write_text(json.dumps({"id": "planted-id", "process": process}))


def test_a_study_has_one_report_and_result_json_says_what_was_found_but_not_of_whom(
    bundle: Path, tmp_path: Path
) -> None:
    films_in, out = tmp_path / "in", tmp_path / "out"
    films_in.mkdir()
    first, second, raw = films(3, "1.2.98765", PatientName=NAME)
    raw.PresentationIntentType = "FOR PROCESSING"
    for number, one in enumerate((first, second, raw)):
        (films_in / f"1.2.98765.{number}.dcm").write_bytes(encoded(one))
    (films_in / "damaged.dcm").write_bytes(b"no film")
    (films_in / "1.2.98765.0.tags").write_text("{}")  # mercure's own copy of a header
    (films_in / "raw.json").write_text("{}")  # of an earlier step
    task(films_in, {"settings": {"model": str(bundle), "results": ["sr", "gsps"]}})
    answer = run("node", "mercure", films_in, out)
    assert (answer.returncode, answer.stdout) == (0, "4 films judged, of which 1 could not be read\n"), answer.stderr
    made = {path: dcmread(path) for path in out.glob("*.dcm")}
    assert sorted(str(result.Modality) for result in made.values()) == ["PR", "PR", "SR"]
    assert all(path.stem == f"{one.SeriesInstanceUID}#{one.SOPInstanceUID}" for path, one in made.items())
    assert {path.suffix for path in out.iterdir()} == {".dcm", ".json"}
    text = (out / "result.json").read_text()
    said = json.loads(text)
    # its gate knows no such films
    assert said["studies"] == [{"films": [1, 2], "decision": None, "probability": None}]
    assert said["films"][2]["no_result"].startswith("is for processing")
    assert said["__mercure_notification"]["requested"] is False
    assert "lanted" not in text + answer.stdout + answer.stderr and "1.2.98765" not in text
    assert {str(one.StudyInstanceUID) for one in made.values()} == {"1.2.98765"}
    assert not any("98765" in path.name for path in made)


def test_it_finds_its_folders_where_mercure_says_and_tells_what_it_cannot_do(
    bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    films_in, out = tmp_path / "in", tmp_path / "out"
    films_in.mkdir()
    monkeypatch.setenv("MERCURE_IN_DIR", str(films_in))
    monkeypatch.setenv("MERCURE_OUT_DIR", str(out))
    assert "no films there" in run("node", "mercure").stderr
    (films_in / "film.dcm").write_bytes(encoded(films(1)[0]))
    task(films_in, {"settings": {"modle": "x"}})
    assert "did you mean model" in run("node", "mercure").stderr
    none = tiny_detection_bundle(tmp_path)
    task(films_in, {"settings": {"model": str(none), "results": ["sr", "seg"]}})
    assert "finds no lungs; leave seg out of the settings' results" in run("node", "mercure").stderr
    task(films_in, {"settings": {"model": str(bundle), "results": ["sr"]}})
    assert run("node", "mercure").returncode == 0
    assert [dcmread(path).Modality for path in out.glob("*.dcm")] == ["SR"] and (out / "result.json").exists()
    (films_in / "film.dcm").write_bytes(b"no film")
    assert run("node", "mercure").returncode == 1
