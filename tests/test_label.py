"""A reading room without its page: which film next, what is kept, what readers may know."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from commands import run
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from starlette.testclient import TestClient

from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.dataset.readings.folder import load_readings
from hilum.label.app import create_app
from hilum.label.films import RoomError
from hilum.label.opening import Wish, open_room
from hilum.label.orders import NEXT_TIME, shuffled, stratified, with_repeats
from hilum.label.room import Room
from hilum.label.server import TOKENS, tokens_of
from hilum.service.settings import Settings

PATHS = [f"film {number}.png" for number in range(300)]
SEEDS = st.text(max_size=5)


def opened(data: Path, out: Path, **wishes: Any) -> Room:
    return open_room(Wish(data, out, **wishes), lambda done, total: None)


def said(label: str | None = "normal", **values: Any) -> Mapping[str, Any]:
    return {"seconds": 2.0, "label": label, **values}


@pytest.fixture
def films(tmp_path: Path) -> Path:
    """Twelve films in two class folders, with a manifest."""
    folder = tmp_path / "films"
    for number in range(12):
        place = folder / ("PNEUMONIA" if number % 3 == 0 else "NORMAL")
        place.mkdir(parents=True, exist_ok=True)
        levels = np.random.default_rng(number).integers(0, 255, (40, 50), np.uint8)
        Image.fromarray(levels).save(place / f"secret{number}.png")
    manifest = import_folder(folder)[0]
    save_manifest(Manifest(manifest.table, folder), folder / "manifest.parquet")
    return folder


@given(st.sets(st.integers(0, 299)), SEEDS)
def test_films_that_are_added_do_not_change_the_order_of_the_others(films: set[int], seed: str) -> None:
    everything = shuffled(range(300), PATHS, seed)
    assert shuffled(sorted(films), PATHS, seed) == [film for film in everything if film in films]


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=60), SEEDS)
def test_every_first_part_of_a_stratified_order_has_each_stratum_alike(strata: list[str], seed: str) -> None:
    order = stratified(range(len(strata)), PATHS, strata, seed)
    assert sorted(order) == list(range(len(strata)))
    whole, counts = Counter(strata), Counter(dict.fromkeys(strata, 0))
    for film in order:
        counts[strata[film]] += 1
        most = max(counts.values())
        assert all(count >= min(most - 1, whole[stratum]) for stratum, count in counts.items())


@given(st.floats(0, 1), SEEDS, st.integers(0, 300))
def test_a_share_comes_twice_and_not_soon(share: float, seed: str, count: int) -> None:
    showings = with_repeats(range(count), PATHS, share, seed)
    first = {each.film: place for place, each in enumerate(showings) if not each.repeat}
    again = {each.film: place for place, each in enumerate(showings) if each.repeat}
    assert sorted(first) == list(range(count))
    assert len(again) == len(showings) - count
    if count == 300:
        assert abs(len(again) / count - share) < 0.15
    last = len(showings) - len(again)
    assert all(place > first[film] for film, place in again.items())
    assert all(place - first[film] > NEXT_TIME[0] for film, place in again.items() if first[film] + NEXT_TIME[1] < last)


def test_what_was_said_is_there_when_the_room_is_opened_again(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "reads"
    room = opened(films, out, readers=("anna", "ben"), repeat=0.5)
    anna, ben = room.desks.values()
    assert [each.film for each in anna.showings] != [each.film for each in ben.showings]
    anna.give(0, said("pneumonia", doubt=True, note="apex"))
    anna.give(1, said())
    anna.give(1, said("pneumonia"))
    anna.give(2, said())
    anna.give(2, {"seconds": 0.0, "withdrawn": True})
    again = opened(films, out, readers=("anna", "ben"), repeat=0.5)
    kept = dict(again.desks["anna"].readings())
    assert {place: reading.label for place, reading in kept.items()} == {0: "pneumonia", 1: "pneumonia"}
    assert kept[0].doubt and kept[0].note == "apex"
    assert not again.desks["ben"].readings()
    assert len(load_readings(out)) == 2


@pytest.mark.parametrize(
    ("answers", "told"),
    [("never", ["nothing", "nothing"]), ("after", ["nothing", "answer"]), ("first", ["answer", "answer"])],
)
def test_a_reading_says_whether_the_models_answer_was_to_be_seen(
    films: Path, tmp_path: Path, answers: Any, told: list[str]
) -> None:
    desk = opened(films, tmp_path / "reads", bundle=object(), answers=answers).desks["reader"]
    assert [desk.give(0, said()).saw, desk.give(0, said("pneumonia")).saw] == told
    # It cannot be forgotten: whoever saw an answer in this room is not blind to the film later on.
    desk = opened(films, tmp_path / "reads").desks["reader"]
    assert desk.give(0, said()).saw == ("nothing" if answers == "never" else "answer")
    assert desk.give(1, said()).saw == "nothing"


def test_who_settles_differences_sees_the_films_read_differently_and_what_was_said(films: Path, tmp_path: Path) -> None:
    out = tmp_path / "reads"
    room = opened(films, out, readers=("anna", "ben"))
    for desk in room.desks.values():
        for place, (film, _) in enumerate(desk.showings):
            differs = film in (3, 7) and desk.reader == "ben"
            desk.give(place, said("pneumonia" if differs else "normal"))
    desk = opened(films, out, adjudicator="carla").desks["carla"]
    assert sorted(each.film for each in desk.showings) == [3, 7]
    assert {each.reader: each.label for each in desk.others(0)} == {"anna": "normal", "ben": "pneumonia"}
    assert desk.give(0, said()).round == "adjudication"
    assert all(room.desks[name].others(0) == [] for name in room.desks)


def test_suspects_come_worst_first_and_alone(films: Path, tmp_path: Path) -> None:
    paths = pl.read_parquet(films / "manifest.parquet")["path"].to_list()
    suspects = tmp_path / "suspects.csv"
    suspects.write_text("path,label,suggested,score,reason\n" + "".join(f"{paths[n]},a,b,0.5,c\n" for n in (5, 2, 9)))
    room = opened(films, tmp_path / "reads", order="doubt", suspects=suspects)
    assert [each.film for each in room.desks["reader"].showings] == [5, 2, 9]


@pytest.mark.parametrize(
    ("wishes", "words"),
    [
        ({"order": "uncertainty"}, "--bundle"),
        ({"order": "doubt"}, "--suspects"),
        ({"order": "stratified", "column": "ward"}, "no column ward"),
        ({"order": "disagreement"}, "read differently"),
        ({"classes": tuple("abcdefghij")}, "1 to 9"),
        ({"classes": ("a", "a")}, "twice"),
        ({"readers": ("anna", "")}, "reader's name"),
        ({"readers": ("anna", "anna")}, "twice"),
        ({"data": Path("nowhere")}, "no such"),
    ],
)
def test_what_cannot_be_is_said_before_anybody_reads(
    films: Path, tmp_path: Path, wishes: dict[str, Any], words: str
) -> None:
    with pytest.raises(RoomError, match=words):
        opened(**{"data": films, "out": tmp_path / "reads", **wishes})


def test_a_folder_keeps_the_readings_of_one_set_of_films(films: Path, tmp_path: Path) -> None:
    opened(films, tmp_path / "reads")
    with pytest.raises(RoomError, match="other films"):
        opened(films / "NORMAL", tmp_path / "reads")
    with pytest.raises(RoomError, match="not empty"):
        opened(films, films)
    # A manifest that is made of what was read does not make them others.
    (films / "manifest.parquet").rename(films / "read.parquet")
    opened(films / "read.parquet", tmp_path / "reads")
    opened(films, tmp_path / "reads")


def client(room: Room, **settings: Any) -> TestClient:
    """Requests to a room without a socket and without processes, which only show films."""
    return TestClient(create_app(Settings((), **settings), room), base_url="http://localhost")


def test_a_token_opens_its_readers_desk_and_no_other(films: Path, tmp_path: Path) -> None:
    room = opened(films, tmp_path / "reads", readers=("anna", "ben"))
    tokens = tokens_of(tmp_path / "reads", ("anna", "ben"))
    assert tokens == tokens_of(tmp_path / "reads", ("anna", "ben"))
    assert len({token for _, token in tokens}) == 2 and all(len(token) > 20 for _, token in tokens)
    if os.name == "posix":
        assert (tmp_path / "reads" / TOKENS).stat().st_mode & 0o077 == 0
    asked = client(room, tokens=tokens)
    assert asked.get("/").status_code == 200
    guesses: tuple[dict[str, str], ...] = ({}, {"Authorization": "Bearer guess"}, {"Hilum-Reader": "anna"})
    for wrong in guesses:
        assert asked.get("/v1/list", headers=wrong).status_code == 401
    shown = {"Authorization": f"Bearer {tokens[1][1]}", "Hilum-Reader": "anna"}
    assert asked.get("/v1/readers", headers=shown).json() == {"readers": ["ben"]}
    assert asked.get("/v1/list", headers=shown).json()["reader"] == "ben"
    given = asked.post("/v1/films/0/reading", headers=shown, json={"seconds": 1, "label": "normal"})
    assert given.status_code == 200
    assert [each.reader for each in load_readings(tmp_path / "reads")] == ["ben"]


def test_a_room_sends_nobody_to_documents_that_it_has_not(films: Path, tmp_path: Path) -> None:
    asked = client(opened(films, tmp_path / "reads"))
    replies = [asked.get("/docs"), asked.delete("/v1/list"), asked.get("/v1/films/0/pixels?longest=x")]
    replies += [asked.get("/v1/films/99"), asked.get("/", headers={"Host": "elsewhere"}), asked.get("/v1/model")]
    assert [reply.status_code for reply in replies] == [404, 405, 422, 404, 400, 404]
    assert all(reply.json()["type"] == "about:blank" and "/docs" not in reply.text for reply in replies)


def test_what_cannot_be_kept_is_said_and_what_is_no_reading_refused(films: Path, tmp_path: Path) -> None:
    room = opened(films, tmp_path / "reads")
    asked = client(room)
    refused: tuple[Any, ...] = ({"label": "flu"}, {"reader": "ben"}, {"seconds": -1}, {"boxes": [[1, 2, 3]]}, [])
    for wrong in refused:
        answer = asked.post("/v1/films/0/reading", json=wrong)
        assert (answer.status_code, answer.json()["reason"]) == (422, "bad_parameter")
    assert asked.post("/v1/films/12/reading", json={"seconds": 1}).status_code == 404
    (tmp_path / "reads" / "readings").write_text("in the way")
    answer = asked.post("/v1/films/0/reading", json={"seconds": 1, "label": "normal"})
    assert (answer.status_code, answer.json()["reason"]) == (507, "not_kept")
    assert not asked.get("/v1/list").json()["readings"]
    foreign = asked.post("/v1/films/0/reading", json={"seconds": 1}, headers={"Origin": "http://evil.example"})
    assert foreign.status_code == 403


def test_an_address_that_others_reach_needs_encryption(films: Path, tmp_path: Path) -> None:
    answer = run("label", films, "--out", tmp_path / "reads", "--host", "0.0.0.0")
    assert answer.returncode == 1 and "encrypt" in answer.stderr and len(answer.stderr.splitlines()) <= 3
    answer = run("label", films, "--out", tmp_path / "reads", "--bundle", "default", "--blind", "--assist")
    assert answer.returncode == 1 and answer.stderr.startswith("--assist shows the answer first and --blind never")
