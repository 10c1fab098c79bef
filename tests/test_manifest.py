"""The manifest: what is written is read again, wherever it is moved, and every fault in one is named."""

from __future__ import annotations

import contextlib
import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from hilum.dataset.manifest.manifest import SCHEMA, Manifest, ManifestError, load_manifest, save_manifest


def manifest(folder: Path, *rows: dict[str, Any], **everywhere: Any) -> Manifest:
    """Rows with made-up films; what a row does not say is null."""
    filled = []
    for number, row in enumerate(rows, 1):
        made_up = {
            "path": f"film{number}.png",
            "patient": f"p{number}",
            "findings": [],
            "file_digest": f"{number:032x}",
        }
        filled.append({**dict.fromkeys(SCHEMA), **made_up, **everywhere, **row})
    return Manifest(pl.DataFrame(filled, schema=SCHEMA, orient="row"), folder)


def written(path: Path, text: str) -> Path:
    path.write_bytes(text.encode())
    return path


def fault(path: Path) -> str:
    with pytest.raises(ManifestError) as caught:
        load_manifest(path)
    message = str(caught.value)
    assert all(line.startswith(f"{path}: ") for line in message.splitlines())
    return message.replace(f"{path}: ", "")


words = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12).filter(str.strip)
fractions = st.floats(0, 1)
boxes = st.lists(st.tuples(fractions, fractions, st.floats(0.001, 1), st.floats(0.001, 1)).map(list), max_size=3)
optional = st.none()
rows = st.fixed_dictionaries(
    {
        "patient": words,
        "study": optional | words,
        "label": optional | words,
        "findings": st.lists(words, max_size=3),
        "pneumonia": optional | st.booleans(),
        "boxes": optional | boxes,
        "view": optional | words,
        "sex": optional | st.sampled_from("FM"),
        "age": optional | st.floats(0, 130),
        "source": optional | words,
        "official_split": optional | st.sampled_from(["train", "val", "test"]),
        "split": optional | st.from_regex(r"fold[0-9]", fullmatch=True),
        "bits": optional | st.integers(1, 16),
        "width": optional | st.integers(1, 2**63 - 1),
        "error": optional | words,
    }
)
paths = st.text("abcXYZ 0.é#,;\"'-", min_size=1, max_size=8).map(lambda name: f"films/{name}x")


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(paths, rows), max_size=5, unique_by=lambda pair: pair[0]))
def test_parquet_and_csv_hold_the_same(tmp_path_factory: pytest.TempPathFactory, films: list[Any]) -> None:
    folder = tmp_path_factory.mktemp("manifest")
    made = manifest(folder, *({"path": path, **row} for path, row in films))
    save_manifest(made, folder / "a.parquet")
    save_manifest(made, folder / "a.csv")
    from_parquet, from_csv = load_manifest(folder / "a.parquet"), load_manifest(folder / "a.csv")
    assert_frame_equal(from_parquet.table, from_csv.table, check_exact=True)
    assert from_parquet.table.schema == pl.Schema(SCHEMA)
    assert from_parquet.digest == from_csv.digest
    # Loading takes stray blanks off, so what was loaded once is written and read without any further change.
    save_manifest(from_csv, folder / "b.csv")
    assert_frame_equal(load_manifest(folder / "b.csv").table, from_csv.table, check_exact=True)


def test_columns_of_the_user_come_last_and_are_kept(tmp_path: Path) -> None:
    path = written(tmp_path / "m.csv", "ward,path,label,patient\r\n007,a.png,normal,12\r\n")
    loaded = load_manifest(path)
    assert loaded.table.columns == [*SCHEMA, "ward"]
    assert loaded.table.row(0, named=True)["ward"] == "007"
    assert loaded.table.row(0, named=True)["patient"] == "12"
    save_manifest(loaded, tmp_path / "m.parquet")
    assert_frame_equal(load_manifest(tmp_path / "m.parquet").table, loaded.table)


def test_a_path_alone_is_a_manifest_and_what_is_assumed_is_said(tmp_path: Path) -> None:
    loaded = load_manifest(written(tmp_path / "m.csv", "path\nward/a.png\n../b.png\n"))
    assert loaded.table["patient"].to_list() == ["ward/a.png", "../b.png"]
    assert loaded.table["findings"].to_list() == [[], []]
    assert loaded.path("ward/a.png") == tmp_path / "ward" / "a.png"
    assert "no column 'patient'" in loaded.notices[0]


def test_a_spreadsheet_s_byte_order_mark_blank_lines_and_capitals_are_fine(tmp_path: Path) -> None:
    text = "\ufeffpath,patient,pneumonia,age,label\r\na.png,1,TRUE, 58 ,normal \r\n\r\nb.png,1,0,,\r\n"
    table = load_manifest(written(tmp_path / "m.csv", text)).table
    assert table["pneumonia"].to_list() == [True, False]
    assert table["age"].to_list() == [58.0, None]
    assert table["label"].to_list() == ["normal", None]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("path;label\na.png;normal\n", "separated by semicolons; save it as 'CSV UTF-8 (comma delimited)'"),
        ("path\tlabel\na.png\tnormal\n", "separated by tabs"),
        ("label\nnormal\n", "there is no column 'path'"),
        ("path,label,label\na.png,1,2\n", "the column 'label' stands in the header twice"),
        ("path,label\na.png,normal,3\n", "row 1 (line 2) has 3 cells where the header has 2"),
        ('path,label\na.png,"nor"mal\n', "line 2 is no valid CSV"),
    ],
)
def test_what_is_no_comma_separated_table_is_named(tmp_path: Path, text: str, message: str) -> None:
    assert message in fault(written(tmp_path / "m.csv", text))


@settings(max_examples=150, deadline=None)
@given(st.text('ab1.,;"\n\r[]{}:\\-/ é\0', max_size=40))
def test_no_text_does_more_than_be_refused(tmp_path_factory: pytest.TempPathFactory, cells: str) -> None:
    path = written(tmp_path_factory.mktemp("m") / "m.csv", "path,boxes,findings,age,pneumonia,width\na.png,[]," + cells)
    with contextlib.suppress(ManifestError):
        load_manifest(path)


def test_lists_in_columns_of_the_user_are_json_in_csv(tmp_path: Path) -> None:
    made = manifest(tmp_path, {})
    save_manifest(replace(made, table=made.table.with_columns(readers=pl.lit(["A", "B"]))), tmp_path / "m.csv")
    assert load_manifest(tmp_path / "m.csv").table["readers"].to_list() == ['["A", "B"]']


def test_text_that_is_not_utf_8_is_named(tmp_path: Path) -> None:
    path = tmp_path / "m.csv"
    path.write_bytes("path\nétage.png\n".encode("latin-1"))
    assert "not UTF-8" in fault(path)
    path.write_text("path\na.png\n", encoding="utf-16")
    assert "not UTF-8" in fault(path)


@pytest.mark.parametrize(
    ("column", "cell", "message"),
    [
        ("path", "", "empty; name the film"),
        ("path", "/data/a.png", "absolute; write it relative"),
        ("path", "C:/data/a.png", "absolute; write it relative"),
        ("path", "ward\\a.png", "has backslashes"),
        ("patient", " ", "empty; give every film a patient"),
        ("pneumonia", "perhaps", "neither true nor false"),
        ("boxes", "0.1 0.2 0.3 0.4", "not JSON such as"),
        ("boxes", "[0.1, 0.2, 0.3, 0.4]", "not JSON such as"),
        ("boxes", '[["a", 1, 1, 1]]', "not JSON such as"),
        ("boxes", "[[0.1, 0.2, 0.3]]", "not four finite numbers"),
        ("boxes", "[[0.1, 0.2, 0.3, NaN]]", "not JSON such as"),
        ("boxes", f"[[0.1, 0.2, 0.3, 1{'0' * 400}]]", "not JSON such as"),
        ("boxes", "[" * 9999, "not JSON such as"),
        ("findings", r'["\ud800"]', "not JSON such as"),
        ("boxes", "[[0.1, 0.2, 0, 0.4]]", "no width or no height"),
        ("boxes", "[[100, 200, 30, 40]]", "not pixels"),
        ("findings", "pneumonia", "not JSON such as"),
        ("sex", "X", "neither F nor M"),
        ("age", "old", "not a number"),
        ("age", "131", "not within 0 to 130"),
        ("age", "-1", "not within 0 to 130"),
        ("split", "train/../x", "an odd name"),
        ("split", "-o", "an odd name"),
        ("official_split", "für später", "an odd name"),
        ("width", "12.5", "not a whole number"),
        ("width", "-1", "below zero"),
        ("bits", "1" * 30, "not a whole number"),
    ],
)
def test_every_fault_is_told_with_row_line_and_column(tmp_path: Path, column: str, cell: str, message: str) -> None:
    good = {"path": "a.png", "patient": "a\nb"}  # the line break moves all lines that follow
    bad = {"path": "b.png", "patient": "Doe^Jane"} | {column: cell}
    path = tmp_path / "m.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, dict.fromkeys([*good, *bad]), restval="")
        table.writeheader()
        table.writerows([good, bad])
    told = fault(path)
    assert told.startswith(f"row 2 (line 4), column {column}: ")
    assert message in told
    assert "Doe" not in told


def test_the_same_film_twice_is_refused_however_it_is_written(tmp_path: Path) -> None:
    told = fault(written(tmp_path / "m.csv", "path\nward/a.png\nb.png\nward//a.png\n"))
    assert told == "row 3 (line 4), column path: the same film as row 1; keep one"


def test_ten_problems_are_told_and_the_others_counted(tmp_path: Path) -> None:
    rows = "".join(f"{number}.png,X\n" for number in range(13))
    lines = fault(written(tmp_path / "m.csv", "path,sex\n" + rows)).splitlines()
    assert len(lines) == 11
    assert lines[0].startswith("row 1 (line 2), column sex")
    assert lines[-1] == "and 3 more problems"


def test_parquet_of_other_tools_is_taken_as_far_as_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "m.parquet"
    frame = pl.DataFrame(
        {
            "path": ["a.png", "b.png"],
            "patient": [6519, 6520],
            "label": pl.Series(["normal", "viral"], dtype=pl.Categorical),
            "age": [58, 3],
            "boxes": pl.Series([[], [[0.1, 0.2, 0.3, 0.4]]], dtype=pl.List(pl.Array(pl.Float32, 4))),
            "study": [None, None],
        }
    )
    frame.write_parquet(path)
    table = load_manifest(path).table
    assert table["patient"].to_list() == ["6519", "6520"]
    assert table["age"].to_list() == [58.0, 3.0]
    assert table["boxes"].to_list()[1][0] == pytest.approx([0.1, 0.2, 0.3, 0.4])


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("patient", [1.5]),
        ("age", ["58"]),
        ("pneumonia", ["true"]),
        ("pneumonia", [1]),
        ("width", [1.5]),
        ("boxes", ["[[0.1, 0.2, 0.3, 0.4]]"]),
        ("findings", ["pneumonia"]),
    ],
)
def test_parquet_columns_of_the_wrong_type_are_named(tmp_path: Path, column: str, values: list[object]) -> None:
    path = tmp_path / "m.parquet"
    pl.DataFrame({"path": ["a.png"], column: values}).write_parquet(path)
    assert fault(path).startswith(f"column {column} holds ")


@pytest.mark.parametrize("box", [[0.1, 0.2, 0.3, float("nan")], [0.1, 0.2, 0.3, None], [0.1], None])
def test_parquet_boxes_that_are_none_are_named(tmp_path: Path, box: list[float] | None) -> None:
    path = tmp_path / "m.parquet"
    pl.DataFrame({"path": ["a.png", "b.png"], "boxes": [[[0.1, 0.2, 0.3, 0.4]], [box]]}).write_parquet(path)
    assert fault(path) == "row 2, column boxes: a box is not four finite numbers; write [x, y, w, h]"


def test_a_file_that_is_no_manifest_is_named(tmp_path: Path) -> None:
    assert "no Parquet file" in fault(written(tmp_path / "m.parquet", "path\na.png\n"))
    assert "name it so" in fault(written(tmp_path / "m.xlsx", ""))
    with pytest.raises(FileNotFoundError):
        load_manifest(tmp_path / "absent.parquet")


def test_a_manifest_saved_elsewhere_still_finds_the_films(tmp_path: Path) -> None:
    (tmp_path / "data" / "ward").mkdir(parents=True)
    film = written(tmp_path / "data" / "ward" / "a.png", "film")
    made = manifest(tmp_path / "data", {"path": "ward/a.png"})
    for place in ("data/m.parquet", "data/ward/m.csv", "runs/one/m.parquet", "m.csv"):
        save_manifest(made, tmp_path / place)
        moved = load_manifest(tmp_path / place)
        assert moved.path(moved.table["path"][0]).resolve() == film.resolve()
        assert moved.digest == made.digest
    assert load_manifest(tmp_path / "runs/one/m.parquet").table["path"].to_list() == ["../../data/ward/a.png"]


def test_moving_the_data_set_moves_the_manifest_with_it(tmp_path: Path) -> None:
    made = manifest(tmp_path / "here", {"path": "ward/a.png"})
    (tmp_path / "here").mkdir()
    save_manifest(made, tmp_path / "here" / "m.parquet")
    (tmp_path / "here").rename(tmp_path / "there")
    moved = load_manifest(tmp_path / "there" / "m.parquet")
    assert moved.path("ward/a.png") == tmp_path / "there" / "ward" / "a.png"
    assert moved.digest == made.digest


def test_the_digest_names_the_content(tmp_path: Path) -> None:
    films: list[dict[str, Any]] = [
        {"label": "normal", "split": "train"},
        {"label": "viral", "boxes": [[0.1, 0.2, 0.3, 0.4]]},
        {},
    ]
    made = manifest(tmp_path, *films)
    shuffled = Manifest(made.table.sample(fraction=1, shuffle=True, seed=7), tmp_path / "other")
    assert shuffled.digest == made.digest
    changes: tuple[tuple[int, str, object], ...] = (
        (0, "label", "viral"),
        (0, "split", "val"),
        (1, "boxes", []),
        (2, "file_digest", "f"),
    )
    for row, column, value in changes:
        changed = [dict(film) for film in films]
        changed[row][column] = value
        assert manifest(tmp_path, *changed).digest != made.digest
    assert manifest(tmp_path, *films, width=12, encoding="PNG").digest == made.digest


def test_unscanned_films_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    one, other = ({"path": name, "file_digest": None, "patient": "p"} for name in ("a.png", "b.png"))
    assert manifest(tmp_path, one).digest != manifest(tmp_path, other).digest


def test_a_write_that_fails_leaves_the_old_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "m.csv"
    save_manifest(manifest(tmp_path, {"label": "normal"}), path)
    before = path.read_bytes()

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"no space left.*m\.csv"):
        save_manifest(manifest(tmp_path, {"label": "viral"}), path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
