"""The watch over films as they come: quick where they change, quiet where they do not, unmoved by restarts."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from drifting import joined, made_axes, made_baseline, some_films

from hilum.bundle.drift.fitting import fit_baseline
from hilum.bundle.drift.monitor import FALSE_ALARM_EVERY, STRANGERS, Alarm, Monitor, MonitorError


def test_false_alarms_come_once_in_ten_thousand_films_at_most() -> None:
    streams, films = 60, 1000
    randoms = [np.random.default_rng(seed) for seed in range(streams)]
    baselines = [(60, 300)[seed % 2] for seed in range(streams)]
    alarms = sum(
        Monitor(made_baseline(random, count)).add(some_films(random, films)) is not None
        for random, count in zip(randoms, baselines, strict=True)
    )
    # A thousand films alarm in one of ten streams at most: of 60 in 6; more than 12 has a chance of less than 1%.
    assert alarms / streams * FALSE_ALARM_EVERY / films <= 2.0


def test_bets_win_nothing_on_average() -> None:
    """What a bet is multiplied by is 1 on average, exactly: over every film that may come last."""
    random = np.random.default_rng(0)
    films = some_films(random, 61)
    paid = []
    for last in range(61):
        rest = [row for row in range(61) if row != last]
        baseline = fit_baseline(films.take(rest), ["here"] * 60, made_axes())
        assert baseline is not None
        monitor = Monitor(baseline)
        monitor.add(films.take([last]))
        paid.append(monitor._groups[0]._wealth[0])
    mean = np.mean(paid, 0)
    numbers, facts = mean[:-4], mean[-4:]
    np.testing.assert_allclose(numbers, 1, atol=1e-9)
    assert (facts <= 1).all()


@pytest.mark.parametrize(("shift", "within"), [(3.0, 12), (0.5, 150)])
def test_a_change_is_found_soon(shift: float, within: int) -> None:
    random = np.random.default_rng(2)
    monitor = Monitor(made_baseline(random, 300))
    assert monitor.add(some_films(random, 500)) is None
    alarm = monitor.add(some_films(random, 1000, shift))
    assert alarm is not None
    assert 500 < alarm.film <= 500 + within
    assert "axis 1" in alarm.traits
    assert monitor.alarm == alarm  # it stays, and is given once
    assert monitor.add(some_films(random, 10, shift)) is None
    assert monitor.alarm == alarm


def test_a_size_that_never_came_before_is_found_soon() -> None:
    random = np.random.default_rng(3)
    monitor = Monitor(made_baseline(random, 300))
    alarm = monitor.add(some_films(random, 60, sides=(256,)))
    assert alarm is not None
    assert alarm.film <= 12
    assert alarm.traits[0] == "size"


def test_films_of_a_known_kind_are_quiet_and_a_switch_between_kinds_is_not() -> None:
    random = np.random.default_rng(4)
    monitor = Monitor(made_baseline(random, 200, sources=2))
    assert monitor.add(some_films(random, 300, 3.0)) is None
    alarm = monitor.add(some_films(random, 100))
    assert alarm is not None
    assert 300 < alarm.film < 340


def test_children_are_watched_apart() -> None:
    random = np.random.default_rng(5)
    known = joined(some_films(random, 100, patient="child"), some_films(random, 100, 5.0, "adult"))
    baseline = fit_baseline(known, ["here"] * 200, made_axes())
    assert baseline is not None
    monitor = Monitor(baseline)
    assert monitor.add(joined(some_films(random, 100, 5.0, "adult"), some_films(random, 20, patient="child"))) is None
    alarm = monitor.add(joined(some_films(random, 30, 5.0, "adult"), some_films(random, 30, 5.0, "child")))
    assert alarm is not None
    assert (alarm.patient, alarm.film > 150) == ("child", True)


def test_films_of_patients_of_whom_nothing_is_known_are_found_soon() -> None:
    random = np.random.default_rng(6)
    known = joined(some_films(random, 100, patient="adult"), some_films(random, 2, patient="child"))
    baseline = fit_baseline(known, ["here"] * 102, made_axes())
    assert baseline is not None and baseline.others == 2
    monitor = Monitor(baseline)
    films = joined(some_films(random, 98, patient="adult"), some_films(random, 2, patient="child"))
    assert monitor.add(films) is None
    alarm = monitor.add(some_films(random, 20, patient="child"))
    assert alarm is not None
    assert (alarm.traits, alarm.film <= 112) == ([STRANGERS], True)


def test_restarts_change_nothing(tmp_path: Path) -> None:
    random = np.random.default_rng(7)
    baseline, path = made_baseline(random, 200, sources=2), tmp_path / "state.json"
    films = joined(some_films(random, 300), some_films(random, 40, 0.8, sides=(128, 512)))
    at_once = Monitor(baseline)
    at_once.add(films)
    found: list[Alarm] = []
    for row in range(0, len(films), 17):
        monitor = Monitor.load(path, baseline)
        alarm = monitor.add(films.take(range(row, min(row + 17, len(films)))))
        found += [alarm] if alarm is not None else []
        monitor.save(path)
    assert found == [at_once.alarm]
    at_once.save(tmp_path / "other.json")
    one, other = Monitor.load(path, baseline), Monitor.load(tmp_path / "other.json", baseline)
    np.testing.assert_allclose(one._groups[0]._wealth, other._groups[0]._wealth, rtol=1e-9)
    assert (one._groups[0]._counts == other._groups[0]._counts).all()
    assert one.films == other.films == len(films)
    assert one._state.on_strangers == other._state.on_strangers


def test_a_state_holds_no_number_of_a_film(tmp_path: Path) -> None:
    random = np.random.default_rng(8)
    monitor = Monitor(made_baseline(random, 100))
    films = some_films(random, 1)
    films.numbers[:] = 123.4567
    monitor.add(films)
    monitor.save(tmp_path / "state.json")
    assert "123.4" not in (tmp_path / "state.json").read_text()


@pytest.mark.parametrize("content", ["", "{}", "[1]", "nonsense", '{"format": 1, "hilum": "1", "baseline": 3}'])
def test_what_is_no_state_is_one_line(tmp_path: Path, content: str) -> None:
    path = tmp_path / "state.json"
    path.write_text(content)
    with pytest.raises(MonitorError, match=r"state\.json: .*move it away"):
        Monitor.load(path, made_baseline(np.random.default_rng(0), 60))


def test_a_state_of_another_baseline_is_one_line(tmp_path: Path) -> None:
    random, path = np.random.default_rng(9), tmp_path / "state.json"
    Monitor(made_baseline(random, 60)).save(path)
    with pytest.raises(MonitorError, match="another baseline"):
        Monitor.load(path, made_baseline(random, 60))


def test_a_state_whose_parts_do_not_fit_is_one_line(tmp_path: Path) -> None:
    random, path = np.random.default_rng(10), tmp_path / "state.json"
    baseline = made_baseline(random, 60)
    Monitor(baseline).save(path)
    path.write_text(path.read_text().replace('"wealth": [0.0, ', '"wealth": ['))
    with pytest.raises(MonitorError, match="damaged"):
        Monitor.load(path, baseline)
