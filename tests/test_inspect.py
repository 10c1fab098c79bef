"""`hilum inspect` as a user meets it: arguments, output, an exit code."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from commands import run
from conftest import PYDICOM_DATA_FILES
from films import dicom, picture, smooth_picture
from PIL import Image


def folder_of_films(folder: Path) -> Path:
    (folder / "ward").mkdir(parents=True)
    (folder / "ward" / "a.dcm").write_bytes(dicom(ViewPosition="PA"))
    (folder / "ward" / "unnamed").write_bytes(dicom())
    (folder / "b.png").write_bytes(picture(Image.fromarray(smooth_picture()), "PNG"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "notes.csv").write_text("a,b\n")
    (folder / ".hidden.png").write_bytes(b"")
    return folder


def test_a_folder_is_walked_and_a_bad_file_is_a_row(tmp_path: Path) -> None:
    answer = run("inspect", folder_of_films(tmp_path / "films"))
    assert answer.returncode == 1
    lines = answer.stdout.splitlines()
    assert lines[0].split("\t") == ["file", "size", "encoding", "bits", "mode", "view", "notes"]
    assert [Path(line.split("\t")[0]).name for line in lines[1:]] == ["b.png", "broken.jpg", "a.dcm", "unnamed"]
    assert "damaged: " in lines[2]
    assert lines[3].split("\t")[1:6] == ["16 x 12", "Explicit VR Little Endian", "16", "MONOCHROME2", "PA"]
    assert "1 of 4 files could not be read" in answer.stderr
    assert "passed over, neither JPEG, PNG nor DICOM: 1" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_json_is_one_object_a_line(tmp_path: Path) -> None:
    answer = run("inspect", folder_of_films(tmp_path / "films"), "--json")
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    assert [Path(row["file"]).name for row in rows] == ["b.png", "broken.jpg", "a.dcm", "unnamed"]
    assert rows[1]["reason"] == "damaged"
    assert (rows[2]["format"], rows[2]["view"], rows[2]["width"]) == ("dicom", "PA", 16)


def test_png_writes_what_hilum_sees_and_only_below_the_folder(tmp_path: Path) -> None:
    films = folder_of_films(tmp_path / "films")
    answer = run("inspect", films, "--png", tmp_path / "seen")
    assert ": 3" in answer.stderr
    written = sorted(path.relative_to(tmp_path / "seen").as_posix() for path in (tmp_path / "seen").rglob("*.png"))
    assert written == ["b.png.png", "ward/a.dcm.png", "ward/unnamed.png"]
    seen = np.asarray(Image.open(tmp_path / "seen" / "b.png.png"))
    np.testing.assert_array_equal(seen, smooth_picture())


def test_a_single_good_film_exits_with_zero() -> None:
    answer = run("inspect", PYDICOM_DATA_FILES / "RG1_UNCR.dcm")
    assert answer.returncode == 0
    assert "MONOCHROME1" in answer.stdout


def test_a_missing_file_is_one_clear_line(tmp_path: Path) -> None:
    answer = run("inspect", tmp_path / "absent.dcm")
    assert answer.returncode == 1
    assert "absent.dcm" in answer.stdout
    assert "cannot_open: No such file or directory" in answer.stdout
    assert "Traceback" not in answer.stderr


def test_an_empty_folder_says_what_to_give(tmp_path: Path) -> None:
    answer = run("inspect", tmp_path)
    assert answer.returncode == 1
    assert "no films found" in answer.stderr


def test_a_file_with_several_faults_names_no_patient(tmp_path: Path) -> None:
    (tmp_path / "film.dcm").write_bytes(dicom(Rows=9999, PatientName="Doe^Jane"))
    answer = run("inspect", tmp_path)
    assert "Doe" not in answer.stdout + answer.stderr
