"""Offline augmentation: every film as it is and in fixed variations, the same in every epoch, in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from test_fit import CPU, SIDE, SMALL, digest, films, recipe

from hilum.dataset.store.store import Store
from hilum.network.network import create_network
from hilum.training.feed.feed import Course, Feed, Shown
from hilum.training.feed.offline import OfflineFeed
from hilum.training.fit import Interrupted, fit
from hilum.training.observer import Event, Step
from hilum.training.prepare import Prepared
from hilum.training.processes import Processes
from hilum.training.run import Run, create_run
from hilum.training.task.task import Task
from hilum.training.variation.augment import draw, matrices
from hilum.training.variation.sampler_torch import sample

PASSES = 3


def feed(passes: int = PASSES, course: Course = Course(7)) -> OfflineFeed:  # noqa: B008, it is immutable
    pixels, train, _ = films()
    return OfflineFeed(passes, Shown(pixels, train, recipe().augmentation), 10, CPU, course)


def shown(offline: OfflineFeed, epoch: int) -> dict[int, list[NDArray[np.float32]]]:
    """What is shown of each film, sorted so that orders do not matter; that targets are right is seen on the way."""
    pictures: dict[int, list[NDArray[np.float32]]] = {}
    for batch in offline.batches(epoch):
        np.testing.assert_array_equal(batch.targets, offline.examples.targets[batch.examples])
        for example, film in zip(batch.examples.tolist(), batch.films.numpy(), strict=True):
            pictures.setdefault(example, []).append(film[0].copy())
    return {example: sorted(seen, key=lambda film: film.tobytes()) for example, seen in pictures.items()}


def test_an_epoch_is_every_film_as_it_is_and_in_its_variations_the_same_in_all_epochs() -> None:
    offline = feed()
    assert len(offline) == 13  # 32 films four times, in batches of 10
    first, second = shown(offline, 0), shown(offline, 1)
    assert first.keys() == second.keys() == set(range(len(offline.examples)))
    for example, seen in first.items():
        assert len(seen) == 1 + PASSES
        np.testing.assert_array_equal(seen, second[example])
        original = offline.pixels[offline.examples.rows[example]].astype(np.float32) * np.float32(1 / 255)
        assert sum(np.array_equal(film, original) for film in seen) == 1
        assert len({film.tobytes() for film in seen}) == 1 + PASSES
    assert not np.array_equal(offline.order(0), offline.order(1))


def test_variations_are_those_of_the_first_epochs_of_the_usual_feed() -> None:
    offline = feed()
    pixels, rows = torch.from_numpy(offline.pixels), offline.examples.rows
    for number in range(1, 1 + PASSES):
        draws = draw(offline.augmentation, (SIDE, SIDE), 7, number, rows)
        expected = sample(pixels, rows, matrices(draws, (SIDE, SIDE)), draws, (SIDE, SIDE)).float() / 255
        seen = shown(offline, 4)
        for example, film in enumerate(expected.numpy()):
            nearest = min(np.abs(film - variation).max() for variation in seen[example])
            assert nearest < 2.5 / 255  # the two samplers differ by a grey level here and there


def test_processes_share_an_epoch() -> None:
    whole = [batch.examples.tolist() for batch in feed().batches(2)]
    halves = [[batch.examples.tolist() for batch in feed(course=Course(7, part, 2)).batches(2)] for part in (0, 1)]
    for together, one, other in zip(whole, *halves, strict=True):
        assert (together[::2], together[1::2]) == (one, other)


def test_without_passes_films_are_shown_as_they_are() -> None:
    pixels, train, _ = films()
    plain = Feed(Shown(pixels, train, recipe().augmentation), 10, CPU)
    for film, batch in zip(plain.in_order(), feed(0).in_order(), strict=True):
        torch.testing.assert_close(film.films, batch.films)
    assert all(len(seen) == 1 for seen in shown(feed(0), 0).values())


def test_a_run_on_them_stopped_in_an_epoch_goes_on_bit_for_bit(tmp_path: Path) -> None:
    wanted = recipe(phases=[{"epochs": 2}])

    def train(folder: Path, stop_at: int = 0) -> str:
        torch.set_num_threads(1)
        pixels, _, judged = films()
        network = create_network(SMALL, 2, "none", input_size=(SIDE, SIDE), seed=1)
        run = Run(folder) if folder.exists() else create_run(folder, wanted, {})
        steps: list[Step] = []

        def watch(event: Event) -> None:
            if isinstance(event, Step):
                steps.append(event)

        val = Feed(Shown(pixels, judged, wanted.augmentation), 16, CPU)
        task = Task(network, wanted, feed().examples, CPU)
        prepared = Prepared(task, feed(), val, Store(pixels, wanted.input.to_geometry(), folder, (), {}), {})
        fit(run, prepared, Processes(), observer=watch, asked_to_stop=lambda: len(steps) == stop_at)
        assert steps[-1].batches == 13
        return digest(network)

    with pytest.raises(Interrupted):
        train(tmp_path / "halves", stop_at=8)
    assert train(tmp_path / "halves") == train(tmp_path / "whole")
