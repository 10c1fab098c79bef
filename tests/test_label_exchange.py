"""What was labeled elsewhere comes in, and what was read here goes out: COCO, Label Studio's JSON, tables."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import pytest
from commands import run
from faster_coco_eval import COCO
from hypothesis import given, settings
from hypothesis import strategies as st
from judged import write_data_set

from hilum.dataset.manifest.manifest import load_manifest
from hilum.dataset.readings.folder import load_readings
from hilum.dataset.readings.reading import Box
from hilum.label.exchange.coco import coco, read_coco
from hilum.label.exchange.exchange import Format, read_labeled, starting_boxes, write_labeled
from hilum.label.exchange.labeled import Labeled
from hilum.label.films import FilmSet, RoomError, open_films
from hilum.label.opening import Wish, open_room

SIZE = (400, 300)
CLASSES = ("normal", "pneumonia", "=SUM(1)")
SIDES = st.integers(0, 4000).map(lambda number: number / 16)
BOXES = st.builds(Box, SIDES, SIDES, SIDES.map(lambda x: x + 1), SIDES.map(lambda y: y + 1), st.sampled_from(CLASSES))
FILMS = FilmSet(Path("films"), Path("films"), tuple(f"ward {number}/film{number}.png" for number in range(8)))
LABELED = st.lists(
    st.builds(
        Labeled,
        st.sampled_from(FILMS.paths),
        st.sampled_from(CLASSES),
        st.lists(BOXES, max_size=3),
        st.just(SIZE),
    ),
    unique_by=lambda labeled: labeled.film,
    min_size=1,
)


@pytest.mark.parametrize("kind", ["coco", "label-studio", "csv"])
def test_what_goes_out_comes_in_again(kind: Format) -> None:
    @settings(max_examples=30)
    @given(LABELED)
    def holds(labeled: list[Labeled]) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / ("labels.csv" if kind == "csv" else "labels.json")
            write_labeled(labeled, path, kind)
            found = read_labeled(path, FILMS)
        assert [(each.film, each.label) for each in found] == [(each.film, each.label) for each in labeled]
        for one, other in zip(found, labeled, strict=True):
            sides = [(box.x, box.y, box.width, box.height) for box in one.boxes]
            assert sides == [pytest.approx((box.x, box.y, box.width, box.height)) for box in other.boxes]
            assert [box.label for box in one.boxes] == [box.label for box in other.boxes]

    holds()


@settings(max_examples=30)
@given(LABELED)
def test_cocos_own_reader_finds_the_boxes(labeled: list[Labeled]) -> None:
    found = COCO(coco(labeled))
    for image in found.loadImgs(found.getImgIds()):
        boxes = [each["bbox"] for each in found.loadAnns(found.getAnnIds(imgIds=[image["id"]]))]
        expected = next(each for each in labeled if each.film == image["file_name"]).boxes
        assert boxes == [[box.x, box.y, box.width, box.height] for box in expected]


def test_an_export_of_label_studios_as_it_is_comes_in(tmp_path: Path) -> None:
    """Its own addresses for films, the latest annotation, other tools' results beside ours."""
    rectangle = {"x": 10.0, "y": 20.0, "width": 50.0, "height": 25.0, "rotation": 0, "rectanglelabels": ["opacity"]}
    result: list[dict[str, Any]] = [
        {"type": "rectanglelabels", "original_width": 200, "original_height": 100, "value": rectangle},
        {"type": "choices", "value": {"choices": ["pneumonia"]}},
        {"type": "textarea", "value": {"text": ["apex"]}},
    ]
    tasks = [
        {"id": 7, "data": {"image": "/data/local-files/?d=ward%201/film1.png"}, "annotations": [{"result": result}]},
        {"id": 8, "data": {"image": "/data/upload/3/film2.png"}, "annotations": [{"result": []}, {"result": result}]},
        {"id": 9, "data": {"image": "https://elsewhere/film3.png"}, "annotations": []},
        {"id": 10, "data": {"image": "unknown.png"}, "annotations": [{"result": result}]},
    ]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks))
    found = read_labeled(path, FILMS)
    box = Box(20.0, 20.0, 100.0, 25.0, "opacity")
    assert [(each.film, each.label, each.boxes) for each in found] == [
        (FILMS.paths[1], "pneumonia", [box]),
        (FILMS.paths[2], "pneumonia", [box]),
        (FILMS.paths[3], None, []),
    ]
    assert starting_boxes(path, FILMS) == {FILMS.paths[1]: [box], FILMS.paths[2]: [box]}


def test_a_class_of_a_whole_film_may_be_an_annotation_without_a_box(tmp_path: Path) -> None:
    content = {
        "images": [{"id": 1, "file_name": "film0.png", "width": 9, "height": 9}],
        "categories": [{"id": 3, "name": "normal"}],
        "annotations": [{"id": 1, "image_id": 1, "category_id": 3, "bbox": []}],
    }
    path = tmp_path / "coco.json"
    path.write_text(json.dumps(content))
    (found,) = read_coco(path)
    assert (found.label, found.boxes) == ("normal", [])


def test_a_table_may_be_of_labels_alone(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text("label,film\npneumonia,film0.png\nnormal,film1.png\n,film2.png\n")
    assert [(each.label, each.boxes) for each in read_labeled(path, FILMS)] == [
        ("pneumonia", []),
        ("normal", []),
        (None, []),
    ]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("a.json", "{", "no JSON"),
        ("a.json", "{}", "not COCO's"),
        ("a.json", '[{"data": 3}]', "not the tasks"),
        ("a.csv", "film,x\n", "no column y"),
        ("a.csv", "film\nfilm0.png\n", "no column x"),
        ("a.csv", "film,x,y,width,height\nfilm0.png,1,2,0,3\n", "line 2.*no box"),
        ("a.csv", "film,x,y,width,height\nstranger.png,1,2,3,3\n", "names no film"),
    ],
)
def test_what_is_none_of_these_says_so(tmp_path: Path, name: str, content: str, words: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(RoomError, match=words):
        read_labeled(tmp_path / name, FILMS)


def test_readings_of_elsewhere_are_readings_like_any_others(tmp_path: Path) -> None:
    """In by the command, out by the command, and adopted."""
    data = write_data_set(tmp_path / "films", 4)
    films = open_films(data)
    boxes = [Box(8, 12, 40, 24, "pneumonia")]
    labeled = [Labeled(film, "pneumonia", boxes if place else [], (80, 96)) for place, film in enumerate(films.paths)]
    write_labeled(labeled, tmp_path / "theirs.json", "label-studio")
    out = tmp_path / "reads"
    assert run("label", "import", tmp_path / "theirs.json", data, "--out", out, "--reader", "anna").returncode == 0
    assert [each.boxes for each in load_readings(out)] == [[], boxes, boxes, boxes]
    assert len(open_room(Wish(data, out, ("anna",)), lambda *_: None).desks["anna"].readings()) == 4
    assert run("label", "export", out, "--by", "anna", "--out", tmp_path / "ours.json").returncode == 0
    assert read_coco(tmp_path / "ours.json") == labeled
    assert run("label", "adopt", out, "--by", "anna", "--out", tmp_path / "new.csv").returncode == 0
    assert load_manifest(tmp_path / "new.csv").table["boxes"].to_list()[1] == [[0.1, 0.125, 0.5, 0.25]]


def test_a_film_that_begins_with_boxes_is_not_read_blind(tmp_path: Path) -> None:
    data = write_data_set(tmp_path / "films", 4)
    first = open_films(data).paths[0]
    (tmp_path / "start.csv").write_text(f"film,x,y,width,height\n{first},1,2,30,40\n")
    desk = open_room(Wish(data, tmp_path / "reads", start=tmp_path / "start.csv"), lambda *_: None).desks["reader"]
    saw = {desk.showings[place].film: desk.give(place, {"seconds": 1.0}).saw for place in range(4)}
    assert saw == {0: "answer", 1: "nothing", 2: "nothing", 3: "nothing"}
