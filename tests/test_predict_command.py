"""`hilum predict` as a user meets it: a process with arguments, output, an exit code."""

from __future__ import annotations

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bundles import tiny_bundle
from conftest import PATIENCE, PYDICOM_DATA_FILES
from films import dicom, picture
from PIL import Image

import hilum
from hilum import Asked
from hilum.bundle.prediction import RESEARCH_USE


def command(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "hilum", "predict", *map(str, arguments)]


def predict(*arguments: str | Path, **options: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, **options}
    return subprocess.run(command(*arguments), capture_output=True, text=True, check=False, env=environment)


def shades(darkest: int, brightest: int) -> np.ndarray[tuple[int, int], np.dtype[np.uint8]]:
    return np.linspace(darkest, brightest, 100 * 120).astype(np.uint8).reshape(100, 120)


@pytest.fixture
def ward(tmp_path: Path) -> Path:
    """One film of each kind and decision, a broken one and a note."""
    folder = tmp_path / "ward"
    (folder / "night").mkdir(parents=True)
    (folder / "dark.png").write_bytes(picture(Image.fromarray(shades(0, 120)), "PNG"))
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (folder / "grey.jpeg").write_bytes(picture(Image.fromarray(shades(60, 190)), "JPEG"))
    bright = shades(150, 255).astype(np.uint16) * 16
    (folder / "night" / "bright.dcm").write_bytes(dicom(bright, BitsStored=12, WindowCenter=2048, WindowWidth=4096))
    (folder / "notes.txt").write_text("none")
    return folder


def test_each_film_is_a_row_and_a_bad_one_fails_the_end_only(tmp_path: Path, ward: Path) -> None:
    answer = predict(tiny_bundle(tmp_path), ward)
    assert answer.returncode == 1
    header, *rows = [line.split("\t") for line in answer.stdout.splitlines()]
    assert header == ["file", "decision", "probability of pneumonia", "classes", "gate", "notes"]
    assert [(Path(row[0]).name, row[1], row[4]) for row in rows] == [
        ("broken.jpg", "error", ""),
        ("dark.png", "no pneumonia", "passed"),
        ("grey.jpeg", "no pneumonia", "passed"),
        ("bright.dcm", "abstain", "not_a_chest_film"),
    ]
    assert re.fullmatch(r"\d+\.\d%", rows[1][2])
    assert re.fullmatch(r"normal \d+\.\d%, pneumonia \d+\.\d%", rows[1][3])
    assert "damaged" in rows[0][5]
    assert "1 of 4 files could not be read" in answer.stderr
    assert "passed over, neither JPEG, PNG nor DICOM: 1" in answer.stderr
    assert answer.stderr.count(RESEARCH_USE) == 1
    assert "operating point balanced (probability of at least 0.5)" in answer.stderr
    assert "Traceback" not in answer.stderr


def test_json_says_what_python_says(tmp_path: Path, ward: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    answer = predict("--model", bundle, ward / "dark.png", ward / "night", "--json", "--operating-point", "sensitive")
    assert answer.returncode == 0
    rows = [json.loads(line) for line in answer.stdout.splitlines()]
    paths = [ward / "dark.png", ward / "night" / "bright.dcm"]
    expected = hilum.load(bundle).predict(paths, Asked(operating_point="sensitive"))
    assert rows == [prediction.to_dict() for prediction in expected]
    assert rows[0]["threshold"] == 0.2


def test_csv_holds_the_rows_with_numbers_in_full(tmp_path: Path, ward: Path) -> None:
    target = tmp_path / "results" / "ward.csv"
    answer = predict(tiny_bundle(tmp_path), ward, "--csv", target, "--threshold", "0.1", "--no-gate")
    assert answer.returncode == 1
    assert "The gate is off" in answer.stderr
    with target.open(newline="") as file:
        rows = {Path(row["file"]).name: row for row in csv.DictReader(file)}
    assert list(rows) == ["broken.jpg", "dark.png", "grey.jpeg", "bright.dcm"]
    bright = rows["bright.dcm"]
    assert (bright["decision"], bright["gate"], bright["operating_point"]) == ("pneumonia", "off", "")
    assert float(bright["probability"]) == float(bright["p_pneumonia"]) == pytest.approx(1 - float(bright["p_normal"]))
    assert float(bright["threshold"]) == 0.1
    assert rows["broken.jpg"]["decision"] == ""
    assert rows["broken.jpg"]["error"].startswith("damaged: ")
    assert {row["research_use"] for row in rows.values()} == {RESEARCH_USE}


def test_heatmaps_are_drawn_below_the_folder_without_overwriting_each_other(tmp_path: Path, ward: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "dark.png").write_bytes((ward / "dark.png").read_bytes())
    drawn = tmp_path / "drawn"
    predict(tiny_bundle(tmp_path), ward, other / "dark.png", "--heatmap", drawn)
    written = sorted(path.relative_to(drawn).as_posix() for path in drawn.rglob("*") if path.is_file())
    assert written == ["again-dark.png.png", "dark.png.png", "grey.jpeg.png", "night/bright.dcm.png"]
    with Image.open(drawn / "dark.png.png") as drawing:
        assert drawing.format == "PNG"
        assert not drawing.info


def test_a_film_gone_before_it_is_drawn_ends_nothing(tmp_path: Path, ward: Path) -> None:
    """Each film is removed as soon as its row is there, before its overlay is drawn or the next one is looked at."""
    code = """if True:
        from pathlib import Path
        from hilum.bundle import predictor
        judge = predictor.Predictor.stream_with_films

        def then_gone(self, films, *arguments, **options):
            for prediction, film in judge(self, films, *arguments, **options):
                Path(prediction.path).unlink()
                yield prediction, film

        predictor.Predictor.stream_with_films = then_gone
        from hilum.__main__ import main
        main()
    """
    arguments = ("predict", tiny_bundle(tmp_path), ward, "--heatmap", tmp_path / "drawn")
    words = [sys.executable, "-c", code, *map(str, arguments)]
    answer = subprocess.run(words, capture_output=True, text=True, check=False)
    assert answer.returncode == 1
    assert len(answer.stdout.splitlines()) == 5
    assert "Traceback" not in answer.stderr
    drawn = sorted(path.name for path in (tmp_path / "drawn").rglob("*.png"))
    assert drawn == ["bright.dcm.png", "dark.png.png", "grey.jpeg.png"]
    assert not list(ward.rglob("*.png"))


def test_inverted_films_are_inverted_first_where_asked(tmp_path: Path) -> None:
    film, negative = tmp_path / "film.png", tmp_path / "negative.png"
    levels = shades(0, 120)
    film.write_bytes(picture(Image.fromarray(levels), "PNG"))
    negative.write_bytes(picture(Image.fromarray(255 - levels), "PNG"))
    bundle = tiny_bundle(tmp_path)
    answer = predict(bundle, negative, "--invert", "--json")
    assert "Black and white of every film are exchanged" in answer.stderr
    row, plain = json.loads(answer.stdout), json.loads(predict(bundle, film, "--json").stdout)
    assert row["probability"] == pytest.approx(plain["probability"], abs=1e-4)
    assert [warning["code"] for warning in row["warnings"]] == ["inverted"]


def test_the_name_of_a_film_does_nothing_to_the_terminal_or_a_spreadsheet(tmp_path: Path) -> None:
    ward = tmp_path / "ward"
    ward.mkdir()
    for name in ("esc\x1b[31mred.png", "=1+1.png"):
        (ward / name).write_bytes(picture(Image.fromarray(shades(0, 120)), "PNG"))
    bundle = tiny_bundle(tmp_path)
    answer = subprocess.run(
        [*command(bundle, "esc\x1b[31mred.png", "=1+1.png", "gone\x1b[2J.png"), "--csv", "rows.csv", "--heatmap", "d"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ward,
    )
    assert "\x1b" not in answer.stdout + answer.stderr
    assert r"esc\x1b[31mred.png" in answer.stdout
    with (ward / "rows.csv").open(newline="") as file:
        files = [row["file"] for row in csv.DictReader(file)]
    assert files == [r"esc\x1b[31mred.png", "'=1+1.png", r"gone\x1b[2J.png"]
    assert "\x1b" not in predict(bundle, ward, "--json").stdout
    assert {path.name for path in (ward / "d").iterdir()} == {r"esc\x1b[31mred.png.png", "=1+1.png.png"}


@pytest.mark.skipif(sys.platform != "linux", reason="names that are not UTF-8 are for Linux")
def test_a_name_that_is_not_utf_8_fits_every_output(tmp_path: Path) -> None:
    film = tmp_path / os.fsdecode(b"bad\xff.png")
    film.write_bytes(picture(Image.fromarray(shades(0, 120)), "PNG"))
    rows = tmp_path / "rows.csv"
    answer = predict(tiny_bundle(tmp_path), film, "--json", "--csv", rows, "--heatmap", tmp_path / "drawn")
    assert answer.returncode == 0, answer.stderr
    assert json.loads(answer.stdout)["file"] == str(film)
    with rows.open(encoding="utf-8", newline="") as file:
        assert [Path(row["file"]).name for row in csv.DictReader(file)] == [r"bad\udcff.png"]
    assert [path.name for path in (tmp_path / "drawn").iterdir()] == [r"bad\udcff.png.png"]


def test_what_was_misspelt_is_shown_as_text(tmp_path: Path) -> None:
    answer = predict(tiny_bundle(tmp_path), "film.png", "--nope\x1b[31m")
    assert answer.returncode == 2
    assert r"--nope\x1b[31m" in answer.stderr
    assert "\x1b" not in answer.stderr


def test_patterns_that_no_shell_spelled_out_are(tmp_path: Path, ward: Path) -> None:
    answer = predict(tiny_bundle(tmp_path), f"{ward}/**/*r*.*", "--json")
    names = [Path(json.loads(line)["file"]).name for line in answer.stdout.splitlines()]
    assert names == ["broken.jpg", "dark.png", "grey.jpeg", "bright.dcm"]


def test_a_real_film(tmp_path: Path) -> None:
    answer = predict(tiny_bundle(tmp_path), PYDICOM_DATA_FILES / "RG1_UNCR.dcm", "--no-gate", "--json")
    assert answer.returncode == 0
    row = json.loads(answer.stdout)
    assert (row["height"], row["width"]) == (1955, 1841)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["tiny.onnx"], 2, "name the films after the bundle"),
        (["tiny.onnx", "film.png", "--threshold", "2"], 2, "between 0 and 1"),
        (["tiny.onnx", "film.png", "--operating-point", "best"], 1, "this bundle has balanced, sensitive"),
        (["tiny.onnx", "film.png", "--operating-point", "balanced", "--threshold", "0.5"], 1, "give one of them"),
        (["absent.onnx", "film.png"], 1, "absent.onnx: No such file or directory"),
        (["--model", "film.png", "film.png"], 1, "film.png: not an ONNX file"),
        (["tiny.onnx", "empty"], 1, "no films found"),
        (["tiny.onnx", "absent.png"], 1, "1 of 1 files could not be read"),
        (["tiny.onnx", "film.png", "--csv", "empty"], 1, "empty: Is a directory"),
    ],
)
def test_mistakes_are_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str], code: int, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    tiny_bundle(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "film.png").write_bytes(picture(Image.fromarray(shades(0, 120)), "PNG"))
    answer = predict(*arguments)
    assert answer.returncode == code
    assert message in answer.stderr
    assert "Traceback" not in answer.stderr


def test_ctrl_c_keeps_what_is_done_and_says_so(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(picture(Image.fromarray(shades(0, 120)), "PNG"))
    target = tmp_path / "rows.csv"
    process = subprocess.Popen(
        [*command(tiny_bundle(tmp_path)), *[str(film)] * 20_000, "--csv", str(target)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        assert process.stdout is not None
        assert process.stderr is not None
        for _ in range(20):  # rows come while it runs
            process.stdout.readline()
        process.send_signal(signal.SIGINT)
        shown, said = process.stdout.read(), process.stderr.read()
    assert process.returncode == 130
    match = re.search(r"stopped after ([\d,]+) of 20,000 films", said)
    assert match is not None
    done = int(match[1].replace(",", ""))
    assert 18 <= done < 20_000
    assert shown.count("\n") + 20 in (done + 1, done + 2)  # the header; a row may be written and not yet counted
    assert len(target.read_text().splitlines()) in (done + 1, done + 2)
    assert "Traceback" not in said


def test_a_closed_pipe_is_no_fault(tmp_path: Path) -> None:
    film = tmp_path / "film.png"
    film.write_bytes(picture(Image.fromarray(shades(0, 120)), "PNG"))
    process = subprocess.Popen(
        [*command(tiny_bundle(tmp_path)), *[str(film)] * 3000],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.stderr is not None
    assert "Traceback" not in process.stderr.read()
    process.stderr.close()
    assert process.wait(PATIENCE) == 141


@pytest.mark.parametrize("columns", [80, 110, 150])
def test_on_a_terminal_there_are_columns_colors_and_a_bar(tmp_path: Path, ward: Path, columns: int) -> None:
    ours, theirs = pty.openpty()
    environment = {**os.environ, "COLUMNS": str(columns), "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    process = subprocess.Popen(command(tiny_bundle(tmp_path), ward), stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    while True:
        try:
            piece = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not piece:
            break
        shown += piece
    os.close(ours)
    assert process.wait(PATIENCE) == 1
    text = shown.decode()
    assert "\x1b[35mabstain" in text
    assert "4/4" in text
    assert ("classes" in text) == (columns >= 140)
    assert "of pneumonia" in text
    plain = re.sub(r"\x1b\[[\d;?]*[A-Za-z]", "", text)
    table = [line for line in plain.replace("\r", "\n").splitlines() if RESEARCH_USE not in line]
    assert max(map(len, table)) <= columns
