"""How long a run will take is measured before it starts, and leaves no trace in it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from test_fit import CPU, SIDE, digest, films, recipe

import hilum.training.estimate as module
from hilum.dataset.store.store import Store
from hilum.network.network import create_network
from hilum.radiograph.geometry import Geometry
from hilum.training.estimate import Estimate, estimate, in_words
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.fit import fit
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe
from hilum.training.run import create_run
from hilum.training.task.task import Task

TWO_PHASES = [{"epochs": 2, "train": "head"}, {"epochs": 2}]


def prepared(wanted: Recipe) -> Prepared:
    pixels, train, val = films()
    # Batch normalization, so that statistics could be changed, and dropout, so that random numbers could be used up.
    network = create_network("mobilenetv3_small_050", 2, "none", dropout=0.2, input_size=(SIDE, SIDE), seed=1)
    store = Store(pixels, Geometry("squash", SIDE, SIDE), Path("store"), (), {})
    feed = Feed(Shown(pixels, train, wanted.augmentation), wanted.training.batch_size, CPU, Course(1))
    task = Task(network, wanted, train, CPU)
    return Prepared(task, feed, Feed(Shown(pixels, val, wanted.augmentation), 16, CPU), store, {})


@pytest.mark.parametrize("phases", [[{"epochs": 1}], TWO_PHASES])
def test_measuring_changes_nothing(phases: list[dict[str, object]], tmp_path: Path) -> None:
    wanted = recipe(phases=phases)
    ends = []
    for name in ("measured", "not"):
        ready = prepared(wanted)
        before, random = digest(ready.task.network), torch.random.get_rng_state()
        if name == "measured":
            estimate(ready, wanted, Processes())
        assert digest(ready.task.network) == before
        assert torch.equal(random, torch.random.get_rng_state())
        assert all(parameter.requires_grad and parameter.grad is None for parameter in ready.task.network.parameters())
        run = create_run(tmp_path / name, wanted, {})
        fit(run, ready, Processes())
        ends.append(digest(ready.task.network))
    assert ends[0] == ends[1]


def test_it_is_what_training_then_takes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By a clock that goes on with every film that the network looks at, and with nothing else."""
    wanted = recipe(phases=[{"epochs": 4}])
    ready, now = prepared(wanted), 0.0

    def look(body: object, looked_at: tuple[torch.Tensor, ...]) -> None:
        nonlocal now
        now += 0.01 * len(looked_at[0])

    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now))
    first_layer = next(part for part in ready.task.network.modules() if isinstance(part, torch.nn.Conv2d))
    first_layer.register_forward_pre_hook(look)
    told = estimate(ready, wanted, Processes())
    now = 0.0
    fit(create_run(tmp_path, wanted, {}), ready, Processes())
    assert told.films == wanted.training.batch_size
    assert told.seconds == pytest.approx(now) == 4 * (32 + 16) * 0.01


def test_the_parts_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = recipe(phases=TWO_PHASES)
    ready = prepared(wanted)
    batch = next(ready.train.batches(0))
    monkeypatch.setattr(module, "_time_to_feed", lambda prepared: (0.25, batch))
    monkeypatch.setattr(module, "_timed", lambda work, device: 1.0)  # a second for two films, or for a step
    # An epoch: 32 films fed and learned from, 4 steps, 16 films judged.
    assert estimate(ready, wanted, Processes()) == Estimate(4 * (32 * (0.25 + 0.5) + 4 + 16 * 0.5), 2)
    assert estimate(ready, wanted, Processes(1, 2)).seconds == 4 * (16 * (0.25 + 0.5) + 4 + 16 * 0.5)


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "1 second"),
        (42, "42 seconds"),
        (89, "89 seconds"),
        (91, "2 minutes"),
        (1320, "22 minutes"),
        (5300, "88 minutes"),
        (5500, "1.5 hours"),
        (50000, "14 hours"),
        (200000, "2.3 days"),
    ],
)
def test_durations_read_as_people_say_them(seconds: float, words: str) -> None:
    assert in_words(seconds) == words
