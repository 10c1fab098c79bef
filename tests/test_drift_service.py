"""Drift of the films that a service judges: seen by whoever asks the service, one line in its log."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from bundles import tiny_bundle
from conftest import PATIENCE
from drifting import bundle_of_noise, write_noise
from service import served, served_here, until

import hilum
from hilum.bundle.drift.monitor import MonitorError
from hilum.service.films import monitors
from hilum.service.films.monitors import Monitors, pack_traits, state_name
from hilum.service.films.served import Served
from hilum.service.settings import Settings

OTHERS = 30  # films of another kind, more than enough


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of_noise(tmp_path_factory.mktemp("known"))


@pytest.fixture(scope="module")
def same(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_noise(tmp_path_factory.mktemp("same") / "films", OTHERS, 2)


@pytest.fixture(scope="module")
def others(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    return write_noise(tmp_path_factory.mktemp("others") / "films", OTHERS, 3, darker=0.15)


@pytest.fixture(autouse=True)
def _restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(monitors, "PAUSE", 0.02)
    monkeypatch.setattr(monitors, "SAVED_EVERY", 0.0)


@pytest.fixture
def lines() -> Iterator[list[str]]:
    said: list[str] = []
    yield said
    assert not any("film-" in line or ".png" in line for line in said)


def watch(bundle: Path, films: list[Path], folder: Path | None, lines: list[str]) -> Monitors:
    """What a service does with films, in this process; how the watch stands when it has ended."""
    predictor = hilum.load(bundle, threads=1)
    with Monitors([Served.of("ours", predictor)], folder, lines.append) as watches:
        for reading in predictor.readings(films):
            watches.add("ours", pack_traits(predictor.card, reading))
    return watches


def test_other_films_are_one_line_and_the_watch_goes_on_after_a_restart(
    bundle: Path, same: list[Path], others: list[Path], tmp_path: Path, lines: list[str]
) -> None:
    standing = watch(bundle, same, tmp_path, lines).standing("ours")
    assert standing == {"films": OTHERS, "false_alarm_every": 10_000, "alarm": None}
    assert lines == []
    standing = watch(bundle, others, tmp_path, lines).standing("ours")
    assert standing is not None and standing["alarm"] is not None
    assert OTHERS < standing["alarm"]["film"] <= standing["films"] == 2 * OTHERS
    (state,) = tmp_path.iterdir()
    (line,) = lines
    assert "films of ours" in line and f"move {state} away" in line
    watch(bundle, others, tmp_path, lines)
    assert len(lines) == 1  # an alarm is given once
    state.unlink()
    assert watch(bundle, same, tmp_path, lines).standing("ours") == {**standing, "films": OTHERS, "alarm": None}


def test_a_state_that_is_moved_away_while_the_service_runs_begins_anew(
    bundle: Path, same: list[Path], others: list[Path], tmp_path: Path, lines: list[str]
) -> None:
    predictor = hilum.load(bundle, threads=1)
    packed = [pack_traits(predictor.card, reading) for reading in predictor.readings([*others, *same])]
    drift = predictor.card.drift
    assert drift is not None
    with Monitors([Served.of("ours", predictor)], tmp_path, lines.append) as watches:
        for traits in packed[:OTHERS]:
            watches.add("ours", traits)
        state = tmp_path / state_name(drift)
        until(lambda: state.exists() and json.loads(state.read_text())["films"] == OTHERS)
        assert len(lines) == 1
        state.unlink()
        watches.add("ours", packed[-1])
        until(lambda: watches.standings()["ours"] == {"films": 1, "false_alarm_every": 10_000, "alarm": None})


def test_a_bundle_without_a_baseline_is_not_watched(tmp_path: Path, same: list[Path], lines: list[str]) -> None:
    watches = watch(tiny_bundle(tmp_path), same[:1], tmp_path / "states", lines)
    assert watches.standing("ours") is None
    assert not (tmp_path / "states").exists()


@pytest.mark.parametrize("packed", [b"{}", b"[1, 2]", b"\xff", b'["adult", [1.0], []]', b"[null, [[]], [1, 2, 3, 4]]"])
def test_what_a_process_that_was_led_astray_sends_is_no_film(bundle: Path, packed: bytes, lines: list[str]) -> None:
    with Monitors([Served.of("ours", hilum.load(bundle, threads=1))], None, lines.append) as watches:
        watches.add("ours", packed)
    standing = watches.standing("ours")
    assert standing is not None and standing["films"] == 0


def test_a_damaged_state_and_a_full_disk_are_one_line_each(
    bundle: Path, same: list[Path], tmp_path: Path, lines: list[str]
) -> None:
    (tmp_path / "file").write_text("")
    watch(bundle, same[:3], tmp_path / "file" / "below", lines)
    assert len(lines) == 1 and "cannot be kept" in lines[0]
    watch(bundle, same[:3], tmp_path, [])
    next(tmp_path.glob(".hilum-drift-*")).write_text("{")
    with pytest.raises(MonitorError, match="move it away"):
        watch(bundle, same[:3], tmp_path, [])


def test_a_server_shows_how_its_watch_stands(bundle: Path, others: list[Path], tmp_path: Path) -> None:
    settings = Settings((Served.of("ours", hilum.load(bundle, threads=1)),), drift=tmp_path)
    with served_here(settings) as service:
        for film in others:
            assert service.post(film.read_bytes()).status == 200
        until(lambda: service.ask("GET", "/v1/model").json["watch"]["films"] == OTHERS)
        assert service.ask("GET", "/v1/model").json["watch"]["alarm"]["patient_group"] is None

        def counted() -> bool:
            metrics = service.ask("GET", "/metrics").content.decode()
            return f'hilum_drift_films{{model="ours"}} {OTHERS}.0' in metrics and (
                'hilum_drift_alarms{model="ours"} 1.0' in metrics
            )

        until(counted)
    assert len(list(tmp_path.glob(".hilum-drift-*"))) == 1


def test_a_served_log_has_the_alarm_and_no_second_service_keeps_its_watch_there(
    bundle: Path, others: list[Path], tmp_path: Path
) -> None:
    arguments = ("--model", bundle, "--processes", "1", "--drift", tmp_path / "drift")
    with served(*arguments) as service:
        for film in others:
            service.post(film.read_bytes())
        command = [sys.executable, "-m", "hilum", "serve", "--port", "0", *map(str, arguments)]
        second = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (second.returncode, "another hilum keeps it" in second.stderr) == (1, True)
        until(lambda: "alarm with film" in service.log)
        assert service.stop(signal.SIGTERM) == 0
    assert len(re.findall("WARNING drift of the films of", service.log)) == 1
    assert "film-0" not in service.log
