"""Which film comes next, and whether another may come, without a node that runs."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import time
from pathlib import Path
from typing import Any

import pytest
from nodes import encoded, films

from hilum.node.intake import Intake, Outcome
from hilum.node.queue import FILE, Arrived, Queue
from hilum.node.settings.node import NodeSettings
from hilum.node.settings.rule import Rule
from hilum.node.spool import Spool
from hilum.system.database import Database, DatabaseError

USUAL, QUIET = 0, 1


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    made = Spool(tmp_path)
    made.make()
    return made


@pytest.fixture
def queue(spool: Spool) -> Iterator[Queue]:
    with Queue(spool.folder) as opened:
        yield opened


def add(queue: Queue, number: int, rule: int = USUAL, *, urgent: bool = False) -> None:
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
