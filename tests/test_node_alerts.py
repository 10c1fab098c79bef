"""Whoever looks after a node hears of what goes wrong, once, in time, and of nothing that came in a film."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from drifting import made_baseline, some_films
from nodes import in_background
from test_node_targets import Answering

from hilum.bundle.drift.monitor import Monitor
from hilum.node.alerts import Alerts
from hilum.node.drift import standings
from hilum.node.queue import Arrived, Queue
from hilum.node.settings.alert import Alert
from hilum.service.films.monitors import state_name

MINUTE = 60


@pytest.fixture
def node(tmp_path: Path) -> Iterator[Any]:
    """As far as an alert looks at it."""
    settings = SimpleNamespace(title="HILUM")
    with Queue(tmp_path) as queue:
        monitors = SimpleNamespace(standings=dict)
        yield SimpleNamespace(
            settings=settings, queue=queue, monitors=monitors, not_ready=lambda: iter(()), senders=[], asking=[]
        )


@pytest.fixture
def hook() -> Iterator[str]:
    Answering.answers.clear()
    Answering.asked.clear()
    Answering.answers["/hook"] = (200, {})
    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = in_background(server.serve_forever, 0.01)
        yield f"http://127.0.0.1:{server.server_address[1]}/hook?key=1"
        server.shutdown()
        thread.join()


def told() -> list[str]:
    return [json.loads(body)["text"] for path, body in Answering.asked if path == "/hook?key=1"]


def die(queue: Queue, instance: str) -> None:
    number = queue.add(Arrived(instance, "digest", "SENDER", "rule"), lambda _: None)
    assert number is not None
    queue.dead(number, "planted, though no reason holds any of a film")


def test_dead_letters_are_told_once_and_new_ones_when_it_is_time(node: Any, hook: str) -> None:
    alerts = Alerts(Alert(webhook=hook, every_minutes=10), node)
    alerts.look(0)
    assert told() == []
    die(node.queue, "planted.1")
    alerts.look(1)
    alerts.look(20 * MINUTE)
    assert told() == ["hilum node HILUM:\n1 dead letters; hilum node status says why"]
    for minutes in (21, 25):
        die(node.queue, f"planted.{minutes}")
        alerts.look(minutes * MINUTE)
    assert len(told()) == 2
    alerts.look(31 * MINUTE)
    assert len(told()) == 3 and "3 dead letters" in told()[-1]


def test_a_target_that_fails_for_long_is_told_and_so_is_its_next_failure(node: Any, hook: str) -> None:
    target = SimpleNamespace(name="archive", failing="cannot be reached", failing_since=0.0)
    node.senders.append(target)
    alerts = Alerts(Alert(webhook=hook, every_minutes=1, after_minutes=10), node)
    alerts.look(9 * MINUTE)
    assert told() == []
    Answering.answers["/hook"] = (500, {})  # it is down, too
    alerts.look(11 * MINUTE)
    Answering.answers["/hook"] = (200, {})
    alerts.look(13 * MINUTE)
    assert told()[-1].splitlines()[1] == "target archive cannot be reached; its results wait"
    target.failing = None
    alerts.look(15 * MINUTE)
    target.failing = "has no room"
    alerts.look(17 * MINUTE)
    assert len(told()) == 3


def test_drift_is_told_by_the_bundle_whose_films_it_is(node: Any, hook: str) -> None:
    node.monitors.standings = lambda: {"ours": {"alarm": None}, "theirs": {"alarm": {"film": 7}}}
    Alerts(Alert(webhook=hook), node).look(0)
    assert [line.split(" are ")[0] for line in told()[-1].splitlines()[1:]] == ["the films of theirs"]


def test_how_a_watch_of_drift_stood_is_read_from_the_spool(tmp_path: Path) -> None:
    random = np.random.default_rng(1)
    baseline = made_baseline(random, 200)
    monitor = Monitor(baseline)
    monitor.add(some_films(random, 50))
    monitor.save(tmp_path / state_name(baseline))
    assert list(standings(tmp_path)) == ["drift: 50 films watched; no other kind of film"]
    monitor.add(some_films(random, 200, 40))
    monitor.save(tmp_path / state_name(baseline))
    assert "drift: 250 films watched; alarm with film" in next(standings(tmp_path))
    (tmp_path / state_name(baseline)).write_text("damaged")
    assert "cannot be read" in next(standings(tmp_path))


def test_mail_goes_to_whom_the_settings_name(node: Any) -> None:
    with socket.create_server(("127.0.0.1", 0)) as door:
        heard: list[str] = []
        thread = in_background(_take_mail, door, heard)
        node.not_ready = lambda: iter(["the spool is full"])
        server = f"127.0.0.1:{door.getsockname()[1]}"
        alerts = Alerts(Alert(mail_to=["it@hospital"], mail_from="hilum@hospital", smtp=server), node)
        alerts.look(0)  # maybe it has only just started
        alerts.look(10 * MINUTE)
        thread.join()
    assert "RCPT TO:<it@hospital>" in [line.strip().upper().replace("IT@HOSPITAL", "it@hospital") for line in heard]
    assert "Subject: hilum node HILUM: the spool is full" in [line.strip() for line in heard]


def _take_mail(door: socket.socket, heard: list[str]) -> None:
    """One message, as a server takes it."""
    connection, _ = door.accept()
    with connection, connection.makefile("rw", newline="\r\n") as lines:

        def say(line: str) -> None:
            lines.write(f"{line}\r\n")
            lines.flush()

        say("220 here")
        in_data = False
        for line in lines:
            heard.append(line)
            if in_data:
                in_data = line.strip() != "."
                if in_data:
                    continue
            word = line[:4].upper()
            in_data = word == "DATA"
            say("354 go on" if in_data else "221 bye" if word == "QUIT" else "250 fine")
            if word == "QUIT":
                return
