"""Which film comes next, and whether another may come, without a node that runs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from nodes import encoded, films

from hilum.node.choosing import choose_all_again
from hilum.node.intake import Intake, Outcome
from hilum.node.queue import FILE, SCHEMA, Arrived, Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.rule import Rule
from hilum.node.spool import Spool
from hilum.system.database import Database, DatabaseError

USUAL, QUIET = "usual", "quiet"


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path)
    made.make()
    return made


@pytest.fixture
def queue(spool: Spool) -> Iterator[Queue]:
    with Queue(spool.folder) as opened:
        yield opened


def add(queue: Queue, number: int, rule: str = USUAL, *, urgent: bool = False) -> None:
    queue.add(Arrived(str(number), "digest", "SENDER", rule, urgent=urgent), lambda _: None)


def test_urgent_films_come_first_and_in_quiet_hours_alone(queue: Queue) -> None:
    add(queue, 1)
    add(queue, 2, QUIET)
    add(queue, 3, QUIET, urgent=True)
    add(queue, 4, urgent=True)
    assert [film.number for film in queue.waiting(9, set())] == [3, 4, 1, 2]
    assert [film.number for film in queue.waiting(9, {4}, [QUIET])] == [3, 1]


def test_a_film_is_done_once_its_target_has_committed_to_all_results(queue: Queue) -> None:
    add(queue, 1)
    queue.judged(1, ["sr", "sc"], ["archive"])
    first, second = queue.due("archive", 9)
    queue.stored(first, "1.1", "asked", 600)
    queue.stored(second, "1.2", "asked", 600)
    assert queue.due("archive", 9) == []
    assert queue.committed("another", ["1.1", "1.2"], [], 0) == []
    assert queue.committed("asked", ["1.1"], ["1.2"], 0) == []
    assert [delivery.kind for delivery in queue.due("archive", 9)] == [second.kind]  # it was lost there
    queue.stored(second, "1.2", "asked again", -1)
    assert queue.due("archive", 9)[0].kind == second.kind  # nobody has answered
    assert queue.committed("asked again", ["1.2"], [], 0) == [1]
    assert queue.counts()["done"] == 1


def test_a_spool_of_another_version_is_left_as_it_is(tmp_path: Path) -> None:
    Database(tmp_path / FILE, "CREATE TABLE films (number INTEGER)", alone=False).close()
    with pytest.raises(DatabaseError, match="another version of hilum"):
        Queue(tmp_path)


def test_a_queue_that_knew_rules_by_their_place_is_gone_on_with(spool: Spool) -> None:
    schema = SCHEMA.replace("rule TEXT", "rule INTEGER")
    with closing(Database(spool.folder / FILE, schema, alone=False, version=2)) as before:
        for number, state in enumerate(("waiting", "done"), start=1):
            before.do(
                "INSERT INTO films VALUES (?, ?, 'd', 'SENDER', ?, '', 0, 0, ?, NULL, 1, 1)", number, number, 2, state
            )
    rules = [Rule(shadow=True, callers=["NOBODY"]), Rule(name="ward", shadow=True)]
    rules.insert(1, Rule(shadow=True, view=["LL"]))
    with Queue(spool.folder) as queue:
        choose_all_again(NodeSettings(spool="", rule=rules), spool, queue)
        assert [film.rule for film in queue.waiting(9, set())] == ["ward"]


def test_a_film_keeps_its_rule_by_name_and_is_chosen_for_anew_where_that_is_gone(spool: Spool, queue: Queue) -> None:
    first, second = Rule(shadow=True, callers=["A"], study_seconds=5), Rule(name="ward", shadow=True, callers=["B"])
    settings = NodeSettings(spool=str(spool.folder), rule=[first, second])
    for number, caller in enumerate("ABA"):
        (spool.arriving / "film").write_bytes(encoded(films(3)[number]))
        assert Intake(settings, spool, queue).take(spool.arriving / "film", caller).outcome is Outcome.TAKEN
    queue.held(3)
    choose_all_again(settings, spool, queue)
    assert queue.counts()["held"] == 1
    turned = [replace(second, threshold=0.3), first]  # in another order, and deciding elsewhere
    choose_all_again(NodeSettings(spool="", rule=turned), spool, queue)
    assert {film.number: film.rule for film in queue.waiting(9, set())} == {1: first.key, 2: "ward"}
    other = replace(first, study_seconds=None, threshold=0.3)  # without a name, so this is another rule
    choose_all_again(NodeSettings(spool="", rule=[other, second]), spool, queue)
    assert {film.number: film.rule for film in queue.waiting(9, set())} == {1: other.key, 2: "ward", 3: other.key}
    choose_all_again(NodeSettings(spool="", rule=[second]), spool, queue)
    assert {letter.number: "no other takes it" in letter.reason for letter in queue.dead_letters()} == {
        1: True,
        3: True,
    }


def test_quiet_hours_may_go_over_midnight() -> None:
    rule = Rule(to=["archive"], quiet_hours=["22:00-06:30", "12:00-13:00"])
    quiet = [hour for hour in range(24) if rule.quiet_at(time(hour))]
    assert quiet == [*range(7), 12, 22, 23]


@pytest.mark.parametrize("changed", [{"spool_gigabytes": 1e-9}, {}], ids=["limit", "room"])
def test_over_its_limit_a_spool_takes_no_film(spool: Spool, queue: Queue, changed: dict[str, Any]) -> None:
    spool.film(1).write_bytes(b"0123456789")
    settings = NodeSettings(spool=str(spool.folder), rule=[Rule(shadow=True)], **changed)
    arrived = spool.arriving / "film"
    arrived.write_bytes(encoded(films(1)[0]))
    taken = Intake(settings, spool, queue).take(arrived, "SENDER")
    assert taken.outcome is (Outcome.NO_ROOM if changed else Outcome.TAKEN)
    assert not arrived.exists()
