"""Training can be stopped at any step and goes on bit for bit; it stops when it should and keeps the right epoch."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from conftest import SOAK
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator  # type: ignore[import-untyped]

from hilum.dataset.store.store import Store
from hilum.network.network import Network, create_network
from hilum.training.checkpoint import CheckpointError, load_latest, read_state, save_checkpoint
from hilum.training.events import event_log
from hilum.training.feed.examples import Examples
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.fit import Interrupted, NotFiniteError, fit
from hilum.training.observer import Epoch, Event, Step
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes
from hilum.training.recipe import Recipe, recipe_from
from hilum.training.run import Run, create_run, ended
from hilum.training.task.task import Task

CPU = torch.device("cpu")
FILMS, TRAINED, SIDE = 48, 32, 16
# A hundred thousand weights, normalized over batches; and millions of weights that are not.
SMALL, PLAIN = "timm/test_efficientnet", {"name": "small_cnn1", "weights": "none"}


def films() -> tuple[np.ndarray[Any, np.dtype[np.uint8]], Examples, Examples]:
    """Noise, with a bright patch at varying places in every second film: learnable, not trivial."""
    random = np.random.default_rng(5)
    pixels = random.integers(0, 120, (FILMS, SIDE, SIDE), np.uint8)
    targets = np.arange(FILMS) % 2
    for film in np.nonzero(targets)[0]:
        y, x = random.integers(0, SIDE - 7, 2)
        pixels[film, y : y + 7, x : x + 7] += 130
    rows = np.arange(FILMS)

    def part(chosen: np.ndarray[Any, np.dtype[np.int64]]) -> Examples:
        return Examples(chosen, targets[chosen], [f"film-{row}.png" for row in chosen], len(chosen))

    return pixels, part(rows[:TRAINED]), part(rows[TRAINED:])


def recipe(**sections: Any) -> Recipe:
    values: dict[str, Any] = {
        "network": {"name": SMALL, "weights": "none"},
        "input": {"height": SIDE, "width": SIDE},
        "augmentation": {"flip_horizontal": 0.5, "rotation": 10, "brightness": 0.2},
        "optimizer": {"name": "adam", "learning_rate": 1e-3},
        "phases": [{"epochs": 3}],
        "training": {"batch_size": 8},
    }
    return recipe_from(values | sections)


def train(folder: Path, wanted: Recipe, run: Run | None = None, **options: Any) -> tuple[Run, Network, list[Any]]:
    torch.set_num_threads(1)
    pixels, train_part, val_part = films()
    name, head, seed = wanted.network.name, wanted.network.head, wanted.training.seed
    network = create_network(name, 2, "none", head=head, input_size=(SIDE, SIDE), seed=seed)
    shown = Shown(pixels, train_part, wanted.augmentation)
    feed = Feed(shown, wanted.training.batch_size, CPU, Course(wanted.training.seed))
    val = Feed(Shown(pixels, val_part, wanted.augmentation), 16, CPU)
    run = run or create_run(folder, wanted, {})
    store = Store(pixels, wanted.input.to_geometry(), Path("store"), (), {})
    prepared = Prepared(Task(network, wanted, train_part, CPU), feed, val, store, {})
    history = fit(run, prepared, Processes(), **options)
    return run, network, history


def digest(module: torch.nn.Module) -> str:
    hashed = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        hashed.update(name.encode() + value.numpy().tobytes())
    return hashed.hexdigest()


SETTINGS: dict[str, dict[str, Any]] = {
    "plain": {},
    "ema, mixup, cosine, clip": {
        "training": {"batch_size": 8, "ema": 0.9, "clip": 1.0},
        "loss": {"mixup": 0.4, "label_smoothing": 0.1},
        "schedule": {"name": "cosine", "warmup_epochs": 0.5},
    },
    "two phases, accumulation, plateau": {
        "phases": [{"epochs": 1, "train": "head"}, {"epochs": 2, "learning_rate": 1e-4}],
        "training": {"batch_size": 8, "accumulate": 2},
        "schedule": {"name": "plateau", "patience": 0},
    },
    "ema, accumulation": {"training": {"batch_size": 8, "accumulate": 2, "ema": 0.9}},
    "sgd, one cycle, focal": {
        "optimizer": {"name": "sgd", "learning_rate": 0.01, "momentum": 0.9},
        "schedule": {"name": "one_cycle"},
        "loss": {"name": "focal"},
    },
}


Uninterrupted = Callable[[str], tuple[str, list[Any]]]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory) -> Uninterrupted:
    """The digest of the network and the history of a run with some settings that nothing stopped."""

    @cache
    def train_whole(name: str) -> tuple[str, list[Any]]:
        _, network, history = train(tmp_path_factory.mktemp("whole") / "run", recipe(**SETTINGS[name]))
        return digest(network), history

    return train_whole


@pytest.mark.soak
@pytest.mark.parametrize("name", SETTINGS)
# 4: the last batch of an epoch, before its validation
@pytest.mark.parametrize("stop_at", range(1, 12) if SOAK else [2, 4, 7])
def test_stopped_at_any_step_it_goes_on_bit_for_bit(
    name: str, stop_at: int, uninterrupted: Uninterrupted, tmp_path: Path
) -> None:
    wanted = recipe(**SETTINGS[name])
    expected, whole = uninterrupted(name)
    steps: list[Event] = []

    def watch(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event)

    with pytest.raises(Interrupted):
        train(tmp_path / "halves", wanted, observer=watch, asked_to_stop=lambda: len(steps) >= stop_at)
    run, resumed, halves = train(tmp_path / "halves", wanted, Run(tmp_path / "halves"))
    assert digest(resumed) == expected
    for before, after in zip(whole, halves, strict=True):
        measured = set(before) - {"seconds", "images_per_second"}
        assert [before[name] for name in measured] == pytest.approx([after[name] for name in measured], rel=1e-5)
    best = read_state(run.best, CPU)
    assert best["epoch"] == 1 + int(np.argmin([row["loss"] for row in whole]))


class Killed(BaseException):
    """What no code of ours catches, as a process that is killed runs none of it."""


@pytest.mark.soak
@pytest.mark.parametrize("killed_at", range(1, 12) if SOAK else [3, 4, 8, 10])
def test_killed_at_any_moment_it_goes_on_bit_for_bit_from_its_last_checkpoint(
    killed_at: int, uninterrupted: Uninterrupted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = recipe(**SETTINGS["ema, accumulation"])
    expected, whole = uninterrupted("ema, accumulation")
    monkeypatch.setattr("hilum.training.fit.CHECKPOINT_SECONDS", 0.0)
    steps: list[Event] = []

    def watch(event: Event) -> None:
        if isinstance(event, Step):
            steps.append(event)
        if len(steps) == killed_at:
            raise Killed

    with pytest.raises(Killed):
        train(tmp_path / "killed", wanted, observer=watch)
    _, resumed, history = train(tmp_path / "killed", wanted, Run(tmp_path / "killed"))
    assert digest(resumed) == expected
    assert [row["loss"] for row in history] == pytest.approx([row["loss"] for row in whole], rel=1e-5)


def test_a_checkpoint_of_another_version_is_refused_in_words(tmp_path: Path) -> None:
    wanted = recipe(phases=[{"epochs": 1}])
    run, _, _ = train(tmp_path, wanted)
    state = load_latest(run.checkpoints, CPU)
    assert state is not None
    without = {key: value for key, value in state.items() if key != "seen"}
    for step, other in enumerate((state | {"network": {"other": torch.zeros(1)}}, without), start=90):
        save_checkpoint(run.checkpoints, step, other)
        with pytest.raises(CheckpointError, match="a version of hilum that keeps networks and states otherwise"):
            train(tmp_path, wanted, run)


def test_the_same_seed_gives_the_same_run_and_another_seed_another(tmp_path: Path) -> None:
    first = train(tmp_path / "a", recipe())[1]
    second = train(tmp_path / "b", recipe())[1]
    other = train(tmp_path / "c", recipe(training={"batch_size": 8, "seed": 2}))[1]
    assert digest(first) == digest(second) != digest(other)


def test_it_learns(tmp_path: Path) -> None:
    _, _, history = train(tmp_path, recipe(phases=[{"epochs": 15}]))
    assert history[-1]["train_loss"] < 0.8 * history[0]["train_loss"]
    assert max(row["auc"] for row in history) > 0.9
    assert 0 <= history[0]["train_accuracy"] < history[-1]["train_accuracy"] <= 1


def test_mixed_films_have_no_accuracy_of_training(tmp_path: Path) -> None:
    _, _, history = train(tmp_path, recipe(loss={"mixup": 0.4}))
    assert "train_accuracy" not in history[0] and "accuracy" in history[0]


def test_accumulated_batches_teach_what_one_large_batch_does(tmp_path: Path) -> None:
    """Of 32 films in batches of 5 a step of three batches is one of 15; the last one has two films in one batch."""
    sgd = {"optimizer": {"name": "sgd", "learning_rate": 0.05}, "phases": [{"epochs": 2}], "network": PLAIN}
    _, parts, _ = train(tmp_path / "parts", recipe(**sgd, training={"batch_size": 5, "accumulate": 3}))
    _, whole, _ = train(tmp_path / "whole", recipe(**sgd, training={"batch_size": 15}))
    for name, weights in whole.state_dict().items():
        torch.testing.assert_close(parts.state_dict()[name], weights, rtol=1e-4, atol=1e-6)


def test_a_frozen_body_stays_as_it_was(tmp_path: Path) -> None:
    wanted = recipe(phases=[{"epochs": 1, "train": "head"}])
    before = create_network(SMALL, 2, "none", input_size=(SIDE, SIDE), seed=1)
    _, after, _ = train(tmp_path, wanted)
    assert digest(before.film.body) == digest(after.film.body)
    assert digest(before.film.head) != digest(after.film.head)


def test_early_stopping_counts_epochs_without_improvement_and_fires(tmp_path: Path) -> None:
    frozen = recipe(
        network=PLAIN,
        optimizer={"name": "sgd", "learning_rate": 1e-12},
        phases=[{"epochs": 20}],
        selection={"metric": "accuracy", "patience": 4},
    )
    _, _, history = train(tmp_path, frozen)
    assert len(history) == 5
    assert [row["best"] for row in history] == [1, 0, 0, 0, 0]


def test_a_run_that_stopped_early_is_over_and_trains_no_further(tmp_path: Path) -> None:
    frozen = recipe(
        network=PLAIN,
        optimizer={"name": "sgd", "learning_rate": 1e-12},
        phases=[{"epochs": 20}],
        selection={"metric": "accuracy", "patience": 2, "after_epoch": 1},
    )
    run, _, history = train(tmp_path, frozen)
    assert [ended(frozen, history[:epochs]) for epochs in range(5)] == [False, False, False, False, True]
    assert [row["epoch"] for row in train(tmp_path, frozen, run)[2]] == [row["epoch"] for row in history]


def test_tensorboard_shows_each_epoch_once_after_a_resume(tmp_path: Path) -> None:
    wanted = recipe(phases=[{"epochs": 4}])
    rows: list[Mapping[str, float]] = []

    def watch(event: Event) -> None:
        if isinstance(event, Epoch):
            rows.append(event.row)

    with pytest.raises(Interrupted):
        train(tmp_path, wanted, observer=watch, asked_to_stop=lambda: len(rows) == 2)
    # As if killed after the third epoch's events, before its checkpoint.
    with event_log(tmp_path, 2) as write:
        write(dict.fromkeys(rows[-1], 123.0) | {"epoch": 3})
    _, _, history = train(tmp_path, wanted, Run(tmp_path))
    events = EventAccumulator(str(tmp_path)).Reload()
    shown = {"loss/training": "train_loss", "loss/validation": "loss", "validation/AUC": "auc"}
    for tag, name in shown.items():
        assert [event.step for event in events.Scalars(tag)] == [1, 2, 3, 4]
        assert [event.value for event in events.Scalars(tag)] == pytest.approx([row[name] for row in history], rel=1e-4)


def test_epochs_before_the_first_that_may_be_kept_are_not(tmp_path: Path) -> None:
    run, _, history = train(tmp_path, recipe(selection={"metric": "loss", "after_epoch": 2}))
    assert [row["best"] for row in history] == [0, 0, 1]
    assert read_state(run.best, CPU)["epoch"] == 3


def test_a_loss_that_is_no_number_stops_and_names_the_films(tmp_path: Path) -> None:
    wild = recipe(network=PLAIN, optimizer={"name": "sgd", "learning_rate": 1e12}, phases=[{"epochs": 5}])
    with pytest.raises(NotFiniteError, match=r"the loss became (nan|inf) in epoch \d, batch \d, on film-\d+\.png"):
        train(tmp_path, wild)


def test_figures_of_an_epoch_are_those_of_scikit_learn(tmp_path: Path) -> None:
    from sklearn.metrics import accuracy_score, balanced_accuracy_score, log_loss, roc_auc_score

    random = np.random.default_rng(0)
    logits, targets = random.normal(size=(50, 3)), random.integers(0, 3, 50)
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    from hilum.training.task.objective import figures

    assert figures(logits, targets) == pytest.approx(
        {
            "loss": log_loss(targets, probabilities),
            "accuracy": accuracy_score(targets, probabilities.argmax(1)),
            "balanced_accuracy": balanced_accuracy_score(targets, probabilities.argmax(1)),
            "auc": roc_auc_score(targets, probabilities, multi_class="ovr"),
        }
    )
    assert math.isnan(figures(logits[:, :2], np.zeros(50, np.int64))["auc"])


def test_a_checkpoint_holds_only_plain_values_and_tensors(tmp_path: Path) -> None:
    run, _, _ = train(tmp_path, recipe(phases=[{"epochs": 1}]))
    state = load_latest(run.checkpoints, CPU)
    assert state is not None
    assert (state["epoch"], state["batch"]) == (1, 0)
