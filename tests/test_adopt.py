"""Readings become labels: whose word counts, what stays, and that train and evaluate take what comes out."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from commands import run
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import write_data_set

from hilum.dataset.manifest.manifest import SCHEMA, Manifest, load_manifest
from hilum.dataset.readings.adopt import adopt
from hilum.dataset.readings.folder import ReadingsError, add_reading
from hilum.dataset.readings.reading import Box, Reading
from hilum.dataset.readings.verdict import agreed_boxes
from hilum.label.opening import Wish, open_room

FILMS, READERS, CLASSES = 6, ("anna", "ben", "carla"), ("normal", "bacterial_pneumonia", "viral_pneumonia")
BEFORE = st.sampled_from([None, *CLASSES])


def reading(film: int, reader: str, label: str | None, **values: Any) -> Reading:
    defaults: dict[str, Any] = {"digest": f"{film:032}", "given": "2026-01-02T03:04:05+00:00", "seconds": 1.0}
    return Reading(reader=reader, film=f"{film}.png", label=label, **{**defaults, **values})


@st.composite
def given_readings(draw: st.DrawFn) -> list[Reading]:
    """Any of the readers' words on any of the films, at most one each, now and then of a second showing."""
    found = []
    for film in range(FILMS):
        for reader in READERS:
            if draw(st.booleans()):
                label = draw(st.sampled_from([None, *CLASSES]))
                readable, lateral = draw(st.sampled_from([(True, False), (True, False), (False, False), (True, True)]))
                found.append(reading(film, reader, label, readable=readable, lateral=lateral))
                if draw(st.integers(0, 4)) == 0:
                    found.append(reading(film, reader, draw(st.sampled_from(CLASSES)), repeat=1))
    return found


def manifest(labels: list[str | None]) -> Manifest:
    rows = [
        {
            "path": f"{film}.png",
            "patient": str(film // 2),
            "label": label,
            "pneumonia": None if label is None else label != "normal",
            "split": ("train", "test")[film // 2 % 2],
            "width": 200,
            "height": 100,
            "file_digest": f"{film:032}",
        }
        for film, label in enumerate(labels)
    ]
    return Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), Path())


def word(each: Reading) -> str | None:
    return "not readable" if not each.readable else "lateral" if each.lateral else each.label


LABELS = st.lists(BEFORE, min_size=FILMS, max_size=FILMS)


@settings(max_examples=50)
@given(LABELS, given_readings(), st.randoms())
def test_the_majority_is_what_more_than_half_say(before: list[str | None], readings: list[Reading], order: Any) -> None:
    shuffled = readings.copy()
    order.shuffle(shuffled)
    adopted = adopt(manifest(before), shuffled, "majority").manifest.table
    for film, (label, origin) in enumerate(adopted.select("label", "label_origin").iter_rows()):
        words = [word(each) for each in readings if each.film == f"{film}.png" and not each.repeat]
        votes = Counter(words)
        expected = next((said for said, count in votes.items() if 2 * count > len(words)), None)
        if not words:
            assert (label, origin) == (before[film], "as it was" if before[film] else None)
        else:
            assert label == (expected if expected in CLASSES else None)
            assert origin


@settings(max_examples=50)
@given(LABELS, given_readings(), st.sampled_from(["majority", "adjudicated", "anna"]))
def test_nothing_but_what_was_read_changes(before: list[str | None], readings: list[Reading], by: str) -> None:
    readings = [*readings, reading(0, "anna", "normal", repeat=1)]
    given_table = manifest(before).table
    made = adopt(manifest(before), readings, by)
    table = made.manifest.table
    kept = [name for name in SCHEMA if name not in ("label", "pneumonia", "boxes", "findings")]
    assert table.select(kept).equals(given_table.select(kept))
    assert table["label_before"].to_list() == before
    assert sum(made.counts.values()) == FILMS
    meaning = table.filter(pl.col("label").is_not_null())
    assert meaning["pneumonia"].to_list() == [label != "normal" for label in meaning["label"]]
    # Adopted again, the oldest labels are the ones that stay beside.
    again = adopt(made.manifest, readings, by).manifest.table
    assert again["label_before"].to_list() == before and again["label"].equals(table["label"])


@settings(max_examples=50)
@given(LABELS, given_readings(), st.dictionaries(st.integers(0, FILMS - 1), st.sampled_from(CLASSES)))
def test_what_was_settled_stands_above_what_was_read(
    before: list[str | None], readings: list[Reading], settled: dict[int, str]
) -> None:
    rulings = [reading(film, "dora", label, round="adjudication") for film, label in settled.items()]
    adopted = adopt(manifest(before), [*readings, *rulings], "adjudicated").manifest.table
    for film, label in enumerate(adopted["label"]):
        words = {word(each) for each in readings if each.film == f"{film}.png" and not each.repeat}
        if film in settled:
            assert label == settled[film] and adopted["label_origin"][film] == "adjudicated by dora"
        elif len(words) == 1:
            (agreed,) = words
            assert label == (agreed if agreed in CLASSES else None)
        elif words:
            assert label is None


@given(st.lists(st.tuples(*[st.integers(0, 60)] * 2, *[st.integers(20, 40)] * 2), max_size=4), st.integers(1, 5))
def test_boxes_that_all_draw_alike_are_agreed_and_those_of_one_of_many_are_not(
    sides: list[tuple[int, int, int, int]], readers: int
) -> None:
    boxes = [Box(200 * place + x, y, width, height) for place, (x, y, width, height) in enumerate(sides)]
    alike = [reading(0, f"reader {number}", "normal", boxes=boxes) for number in range(readers)]
    assert agreed_boxes(alike) == tuple(boxes)
    if readers > 1:
        alone = replace(alike[0], boxes=[*boxes, Box(5000, 0, 30, 30)])
        assert agreed_boxes([alone, *alike[1:]]) == tuple(boxes)


def test_boxes_become_fractions_of_their_film() -> None:
    readings = [
        reading(0, "anna", "viral_pneumonia", boxes=[Box(20, 10, 100, 50)]),
        reading(1, "anna", "normal"),
        reading(2, "anna", "viral_pneumonia"),
    ]
    table = adopt(manifest([None] * FILMS), readings, "anna").manifest.table
    assert table["boxes"].to_list() == [[[0.1, 0.1, 0.5, 0.5]], [], None, None, None, None]


def test_where_nobody_draws_boxes_none_are_made_up() -> None:
    known = manifest(["viral_pneumonia", "viral_pneumonia", "normal", "normal", None, None])
    box = [[0.1, 0.1, 0.2, 0.2]]
    boxes = pl.Series("boxes", [box, box, [], [], None, None], SCHEMA["boxes"])
    said = ["viral_pneumonia", "normal", "normal", "viral_pneumonia", "normal", "viral_pneumonia"]
    readings = [reading(film, "anna", label) for film, label in enumerate(said)]
    table = adopt(Manifest(known.table.with_columns(boxes), Path()), readings, "anna").manifest.table
    assert table["boxes"].to_list() == [box, [], [], None, None, None]


def test_a_reading_of_another_file_is_not_adopted() -> None:
    made = adopt(manifest(["normal"] * FILMS), [reading(0, "anna", "viral_pneumonia", digest="0" * 31 + "9")], "anna")
    assert made.manifest.table["label"].to_list() == ["normal"] * FILMS
    assert made.counts["another file than was read, left as it was"] == 1


def test_a_class_whose_name_tells_nothing_has_to_be_told() -> None:
    readings = [reading(0, "anna", "infiltrate"), reading(1, "anna", "effusion")]
    with pytest.raises(ReadingsError, match="--positive"):
        adopt(manifest([None] * FILMS), readings, "anna")
    with pytest.raises(ReadingsError, match="typo"):
        adopt(manifest([None] * FILMS), readings, "anna", frozenset({"typo"}))
    table = adopt(manifest([None] * FILMS), readings, "anna", frozenset({"infiltrate"})).manifest.table
    assert table["pneumonia"].to_list()[:2] == [True, False]


def test_what_is_adopted_is_a_manifest_like_any_other(tmp_path: Path) -> None:
    """As a command: from a folder of films, and from a manifest with splits; as .parquet and as .csv."""
    data = write_data_set(tmp_path / "films", 12)
    for source, name in ((data, "with.csv"), (tmp_path / "films/train/NORMAL", "without.parquet")):
        out = tmp_path / f"reads of {name}"
        desk = open_room(Wish(source, out, classes=("normal", "pneumonia")), lambda *_: None).desks["reader"]
        for place in range(len(desk.showings) - 1):
            desk.give(place, {"seconds": 1.0, "label": "pneumonia", "boxes": [Box(8, 9, 40, 48)]})
        answer = run("label", "adopt", out, "--by", "reader", "--out", tmp_path / name)
        assert answer.returncode == 0 and "1 film: not read" in answer.stderr
        table = load_manifest(tmp_path / name).table
        assert (table["label"] == "pneumonia").sum() >= len(desk.showings) - 1
        assert all((tmp_path / path).is_file() for path in table["path"])
        assert run("data", "show", tmp_path / name).returncode == 0
    splits = pl.read_parquet(data).sort("path")["split"].to_list()
    assert load_manifest(tmp_path / "with.csv").table.sort("path")["split"].to_list() == splits


@pytest.mark.parametrize(
    ("arguments", "words"),
    [(("--by", "zoe"), "nobody of this name"), (("--by", "anna", "--out", "labels.txt"), ".parquet or .csv")],
)
def test_what_cannot_be_adopted_is_one_line(tmp_path: Path, arguments: tuple[str, ...], words: str) -> None:
    data = write_data_set(tmp_path / "films", 4)
    open_room(Wish(data, tmp_path / "reads"), lambda *_: None)
    add_reading(tmp_path / "reads", reading(0, "anna", "normal"))
    answer = run("label", "adopt", tmp_path / "reads", "--out", tmp_path / "new.csv", *arguments)
    assert answer.returncode == 1 and words in answer.stderr.splitlines()[-1]
