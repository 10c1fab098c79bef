"""The challenge's CSV: written, read back and scored; and what is said of one that cannot be used."""

from __future__ import annotations

import csv
import json
import math
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import polars as pl
import pytest
from bundles import an_answer, tiny_bundle
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner, Result

from hilum.bundle.asked import Asked
from hilum.bundle.prediction import Answered, Box, Failed, Prediction
from hilum.cli.app import app
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import SCHEMA, Manifest, load_manifest, save_manifest
from hilum.evaluation.challenge.submission import (
    FilmBoxes,
    SubmissionError,
    fuse_films,
    read_predictions,
    read_submission,
    write_submission,
)
from hilum.evaluation.challenge.truth import join_manifest
from hilum.measures.boxes.overlap import Detections
from hilum.radiograph import Radiograph, read

NOTHING = Detections(np.empty((0, 4)), np.empty(0))


def found(*rows: tuple[float, float, float, float, float]) -> Detections:
    """score, x, y, width, height"""
    table = np.array(rows, np.float64).reshape(-1, 5)
    return Detections(table[:, 1:], table[:, 0])


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


fractions = st.floats(0.001, 1.0)
names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1)


@given(
    st.dictionaries(names, st.lists(st.tuples(fractions, fractions, fractions, fractions, fractions), max_size=4)),
    st.integers(1, 4096),
    st.integers(1, 4096),
)
def test_what_is_written_is_read_back_in_pixels(
    drawn: dict[str, list[tuple[float, float, float, float, float]]], height: int, width: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "submission.csv")
        write_submission([FilmBoxes(name, found(*rows), height, width) for name, rows in drawn.items()], path)
        films = read_submission(path)
    assert list(films) == list(drawn)
    for name, rows in drawn.items():
        np.testing.assert_allclose(films[name].scores, found(*rows).scores, rtol=1e-6)
        np.testing.assert_allclose(films[name].boxes, found(*rows).boxes * (width, height, width, height), rtol=1e-6)


def test_the_file_is_as_the_challenge_wants_it(tmp_path: Path) -> None:
    boxes = found((0.9, 0.25, 0.125, 0.5, 0.25), (0.4, 0.1, 0.1, 0.1, 0.1))
    write_submission(
        [FilmBoxes("0004cfab", boxes, 1024, 1024), FilmBoxes("00313ee0", NOTHING, 1024, 1024)], tmp_path / "s.csv"
    )
    assert (tmp_path / "s.csv").read_bytes() == (
        b"patientId,PredictionString\r\n0004cfab,0.9 256 128 512 256 0.4 102.4 102.4 102.4 102.4\r\n00313ee0,\r\n"
    )
    assert list(tmp_path.iterdir()) == [tmp_path / "s.csv"]


HEADER = "patientId,PredictionString\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "the file is empty"),
        ("id,PredictionString\na,\n", "there is no column patientId"),
        (HEADER + "a,\nb,0.9 1 2 3\n", "line 3: 4 numbers; each box takes five"),
        (HEADER + "a,0.9 1 2 three 4\n", "line 2: not all of it is numbers"),
        (HEADER + "a,0.9 1 2 nan 4\n", "line 2: not all of it is numbers"),
        (HEADER + "a,0.9 1 2 1e999 4\n", "line 2: not all of it is numbers"),
        (HEADER + "a,0.9 1 2 0 4\n", "line 2: a box without width or height"),
        (HEADER + "a,0.9 1 2 3 -4\n", "line 2: a box without width or height"),
        (HEADER + "a,\nb,\n\na,\n", "line 5: the film of line 2 again"),
        (HEADER + ",0.9 1 2 3 4\n", "line 2: the patientId is empty"),
        (HEADER + "a,0.9,1\n", r"row 1 \(line 2\) has 3 cells where the header has 2"),
        (HEADER.replace(",", ";") + "a;\n", "separated by semicolons"),
    ],
)
def test_a_malformed_file_is_told_by_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "s.csv"
    path.write_text(content)
    with pytest.raises(SubmissionError, match=said) as error:
        read_submission(path)
    assert str(error.value).startswith(f"{path}: ") and "\n" not in str(error.value)


@given(st.binary(max_size=200))
def test_any_bytes_end_in_films_or_one_line(content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "s.csv")
        path.write_bytes(HEADER.encode() + content)
        try:
            read_submission(path)
        except SubmissionError as error:
            assert "\n" not in str(error)


def table(*rows: dict[str, Any]) -> Manifest:
    filled = [{"patient": row["path"], "width": 1024, "height": 1024, **row} for row in rows]
    return Manifest(pl.DataFrame(filled, schema=SCHEMA, orient="row"), Path())


def test_films_are_joined_by_the_stem_of_their_name() -> None:
    manifest = table(
        {"path": "train/a.dcm", "boxes": [[0.5, 0.25, 0.25, 0.125]], "width": 512, "height": 1024},
        {"path": "train/b.dcm", "boxes": []},
        {"path": "train/c.dcm", "boxes": None},
    )
    submission = {"b": NOTHING, "a": found((0.9, 256, 256, 128, 128)), "other": NOTHING}
    judged = join_manifest(submission, Path("s.csv"), manifest, None)
    np.testing.assert_array_equal(judged.found[0].boxes, judged.truths[0])
    assert [len(boxes) for boxes in judged.truths] == [1, 0]
    assert judged.patients == ["train/a.dcm", "train/b.dcm"]
    assert judged.notices == [
        "1 films left out, whose boxes are not known",
        "1 rows left out, of films that are not judged here",
    ]


def test_what_cannot_be_joined_says_why() -> None:
    known = {"boxes": [[0.5, 0.5, 0.2, 0.2]], "split": "test"}
    two = table({"path": "x/a.png", **known}, {"path": "x/b.png", **known})
    cases: list[tuple[Manifest, dict[str, Detections], str | None, str]] = [
        (two, {"a": NOTHING}, None, "1 of 2 films have no row, the first being b"),
        (two, {"a": NOTHING, "b": NOTHING}, "val", "no film of the manifest is in the split val"),
        (table({"path": "a.png"}), {"a": NOTHING}, None, "knows the boxes of no film"),
        (
            table({"path": "x/a.png", **known}, {"path": "y/a.png", **known}),
            {"a": NOTHING},
            None,
            "two films of that name",
        ),
        (table({"path": "a.png", **known, "width": None}), {"a": NOTHING}, None, "lacks the size"),
        (
            table({"path": "a.png", **known, "width": 256}),
            {"a": found((1, 600, 9, 9, 9))},
            None,
            "outside the film of 256",
        ),
    ]
    for manifest, submission, split, said in cases:
        with pytest.raises(SubmissionError, match=said):
            join_manifest(submission, Path("s.csv"), manifest, split)


def test_a_split_is_scored_by_itself() -> None:
    for kind in ("split", "official_split"):
        manifest = table({"path": "a.png", "boxes": [], kind: "train"}, {"path": "b.png", "boxes": [], kind: "test"})
        assert join_manifest({"b": NOTHING}, Path("s.csv"), manifest, "test").patients == ["b.png"]


def prediction(path: str | None, *boxes: Box, height: int = 1024, width: int = 1024) -> Answered:
    return an_answer(path=path, boxes=boxes, box_threshold=0.5, height=height, width=width)


def test_lines_of_predictions_become_a_submission(tmp_path: Path) -> None:
    lines = tmp_path / "p.jsonl"
    seen = [
        prediction("films/a.b.dcm", Box(0.25, 0.5, 0.125, 0.25, 0.75, "opacity")),
        Failed(
            path="films/c.dcm",
            operating_point="balanced",
            threshold=0.5,
            box_threshold=0.5,
            model="",
            bundle="",
            reason="truncated_pixel_data",
            detail="the pixels end early",
        ),
    ]
    lines.write_text("".join(json.dumps(one.to_dict()) + "\n" for one in seen))
    result = run("submit", lines, "-o", tmp_path / "s.csv")
    assert result.exit_code == 1  # one film could not be read
    assert result.stderr.splitlines() == [
        f"2 films, 1 boxes written to {tmp_path / 's.csv'}",
        "c: truncated_pixel_data: the pixels end early; its row is empty",
    ]
    assert (tmp_path / "s.csv").read_text() == HEADER + "a.b,0.75 256 512 128 256\nc,\n"


@pytest.mark.parametrize("line", ["", "[]", "{}", '{"file": "a", "boxes": [{"x": NaN}]}', '{"file": 3}', "\udcff"])
def test_a_line_that_is_no_prediction_is_named(tmp_path: Path, line: str) -> None:
    lines = tmp_path / "p.jsonl"
    good = json.dumps(prediction("a.dcm").to_dict())
    lines.write_bytes(f"{good}\n{line}\n".encode(errors="surrogateescape"))
    with pytest.raises(SubmissionError, match="line 2 is no prediction"):
        read_predictions(lines)


def test_several_predictions_are_fused_film_by_film() -> None:
    one = [FilmBoxes("a", found((0.8, 0.1, 0.1, 0.2, 0.2)), 1024, 1024), FilmBoxes("b", NOTHING, 0, 0, "damaged")]
    other = [FilmBoxes("b", found((0.6, 0.1, 0.1, 0.2, 0.2)), 1024, 1024), FilmBoxes("a", NOTHING, 1024, 1024)]
    a, b = fuse_films([one, other])
    assert (a.film, a.found.scores.tolist()) == ("a", [pytest.approx(0.4)])
    assert (b.film, b.found.scores.tolist(), b.error) == ("b", [0.6], None)
    with pytest.raises(SubmissionError, match="b: not all predictions have this film"):
        fuse_films([one, other[1:]])
    with pytest.raises(SubmissionError, match="a: two films of that name"):
        fuse_films([[one[0], one[0]]])


class TopLeftFinder:
    """Stands for the Predictor of a detection bundle: a box over the half of the film that is brighter."""

    def __init__(self, threshold: float = 0.5) -> None:
        self.card = SimpleNamespace(task="detection", boxes=SimpleNamespace(threshold=threshold))

    def stream(self, films: Iterable[Path | Radiograph], _: Asked) -> Iterator[Prediction]:
        for film in films:
            name = None if isinstance(film, Radiograph) else str(film)
            pixels = film.pixels if isinstance(film, Radiograph) else read(film).pixels
            half = pixels.shape[1] // 2
            left = 0.0 if pixels[:, :half].mean() > pixels[:, half:].mean() else 0.5
            box = Box(left, 0.0, 0.5, 1.0, 0.8, "opacity")
            yield prediction(name, box, height=pixels.shape[0], width=pixels.shape[1])


def test_bundles_and_mirror_images_are_averaged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from PIL import Image

    film = np.zeros((64, 64), np.uint8)
    film[:, :32] = 200
    (tmp_path / "films").mkdir()
    Image.fromarray(film).save(tmp_path / "films" / "left.png")
    (tmp_path / "films" / "notes.txt").write_text("no film")
    thresholds = {"one.onnx": 0.7, "two.onnx": 0.8}
    monkeypatch.setattr("hilum.evaluation.challenge.opinions.load", lambda path: TopLeftFinder(thresholds[path.name]))
    result = run("submit", "one.onnx", "two.onnx", tmp_path / "films", "--mirror", "-o", tmp_path / "s.csv")
    assert result.exit_code == 0, result.output
    # Seen four times at the same place, so it was mirrored back: the mean confidence is that of each.
    assert (tmp_path / "s.csv").read_text() == HEADER + "left,0.8 0 0 32 64\n"
    assert "1 films are not of 1024 x 1024" in result.stderr
    # Without a threshold given, that of the bundles holds, on average.
    thresholds["two.onnx"] = 0.95
    run("submit", "one.onnx", "two.onnx", tmp_path / "films", "-o", tmp_path / "s.csv")
    assert (tmp_path / "s.csv").read_text() == HEADER + "left,\n"


def test_boxes_below_a_score_are_left_out_after_averaging(tmp_path: Path) -> None:
    sure, vague = Box(0.0, 0.0, 0.5, 0.5, 0.8, "opacity"), Box(0.5, 0.5, 0.5, 0.5, 0.8, "opacity")
    for name, boxes in (("one", (sure, vague)), ("two", (sure,))):
        (tmp_path / f"{name}.jsonl").write_text(json.dumps(prediction("a.dcm", *boxes).to_dict()) + "\n")
    result = run(
        "submit", tmp_path / "one.jsonl", tmp_path / "two.jsonl", "--threshold", "0.5", "-o", tmp_path / "s.csv"
    )
    assert result.exit_code == 0, result.output
    assert (tmp_path / "s.csv").read_text() == HEADER + "a,0.8 0 0 512 512\n"


def test_a_classification_bundle_is_refused(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path)
    result = run("submit", bundle, tmp_path, "-o", tmp_path / "s.csv")
    assert result.exit_code == 1
    assert result.stderr == f"{bundle}: a classification bundle draws no boxes; name a detection bundle\n"


def test_films_need_a_bundle_and_predictions_none(tmp_path: Path) -> None:
    for words in (["films"], ["p.jsonl", "films"], ["p.jsonl", "m.onnx"], ["m.onnx"], ["p.jsonl", "--mirror"]):
        result = run("submit", *words, "-o", tmp_path / "s.csv")
        assert result.exit_code == 2 and "name a detection bundle" in result.stderr


@pytest.fixture
def rsna(real_data: Path, tmp_path: Path) -> Path:
    """The manifest of six films of the challenge."""
    shutil.copytree(real_data / "rsna-mini", tmp_path / "rsna")
    save_manifest(import_folder(tmp_path / "rsna", "rsna", processes=1)[0], tmp_path / "manifest.parquet")
    return tmp_path / "manifest.parquet"


def true_boxes(manifest: Path) -> list[FilmBoxes]:
    """What a perfect detector would find."""
    rows = load_manifest(manifest).table.select("path", "boxes").iter_rows()
    return [
        FilmBoxes(Path(path).stem, Detections(np.array(boxes).reshape(-1, 4), np.ones(len(boxes))), 1024, 1024)
        for path, boxes in rows
    ]


def test_the_true_boxes_of_the_challenge_score_1(rsna: Path, tmp_path: Path) -> None:
    films = true_boxes(rsna)
    write_submission(films, tmp_path / "s.csv")
    with (rsna.parent / "rsna" / "stage_2_train_labels.csv").open() as file:
        labels = sorted(
            (row["patientId"], *(float(row[side]) for side in ("x", "y", "width", "height")))
            for row in csv.DictReader(file)
            if row["x"]
        )
    assert (
        sorted((film, *box) for film, boxes in read_submission(tmp_path / "s.csv").items() for box in boxes.boxes)
        == labels
    )
    result = run("score", tmp_path / "s.csv", rsna, "--json")
    assert result.exit_code == 0, result.output
    said = json.loads(result.stdout)
    assert {name: said[name] for name in ("films", "true_boxes", "predicted_boxes")} == {
        "films": 6,
        "true_boxes": 5,
        "predicted_boxes": 5,
    }
    assert [said[name]["value"] for name in ("rsna_score", "map_50", "sensitivity_at_0.25")] == [1, pytest.approx(1), 1]


def test_boxes_drawn_too_large_score_less(rsna: Path, tmp_path: Path) -> None:
    wide = [
        film._replace(found=film.found._replace(boxes=film.found.boxes * (1, 1, math.sqrt(1.6), math.sqrt(1.6))))
        for film in true_boxes(rsna)
    ]
    write_submission(wide, tmp_path / "s.csv")
    # An overlap of 1 / 1.6 = 0.625 hits at 0.40 to 0.60, five of eight thresholds.
    result = run("score", tmp_path / "s.csv", rsna)
    rows = dict(line.split("\t")[:2] for line in result.stdout.splitlines())
    assert (rows["films"], rows["RSNA score"], rows["mAP at 0.5 to 0.95"]) == ("6", "0.625", "0.300")


def test_errors_are_one_line(tmp_path: Path) -> None:
    (tmp_path / "s.csv").write_text(HEADER + "a,1 2\n")
    (tmp_path / "m.csv").write_text("path\na.png\n")
    for words in (
        ("score", tmp_path / "s.csv", tmp_path / "m.csv"),
        ("score", tmp_path / "absent.csv", tmp_path / "m.csv"),
        ("submit", tmp_path / "absent.jsonl", "-o", tmp_path / "x.csv"),
        ("submit", tmp_path / "absent.jsonl", "-o", tmp_path / "nowhere" / "x.csv"),
    ):
        result = run(*words)
        assert result.exit_code == 1 and result.stdout == "", result.output
        assert len(result.stderr.splitlines()) == 1
