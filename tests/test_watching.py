"""`hilum train` under signals: noted while a network learns, as usual at any other time."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hilum.cli.train.watching import Watcher
from hilum.training.observer import Epoch, Learning, Notice, Step, Working

LEARNING = (Learning(Path("run"), 2), Step(1, 2, 1, 9, 0.5, 10.0))


@pytest.fixture(autouse=True)
def _interrupts_are_heard() -> Iterator[None]:
    """Who starts the tests in the background of a script starts them deaf to Ctrl-C."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_while_a_network_learns_the_first_is_noted_and_the_second_ends_the_command() -> None:
    for event in LEARNING:
        with Watcher() as watcher:
            watcher(event)
            signal.raise_signal(signal.SIGINT)
            assert watcher.asked_to_stop()
            with pytest.raises(KeyboardInterrupt):
                signal.raise_signal(signal.SIGINT)


@pytest.mark.parametrize("event", [Working("decoding films", 1, 2), Notice("curves: curves.png")])
def test_at_any_other_time_one_is_enough(event: Working | Notice) -> None:
    with Watcher() as watcher:
        watcher(LEARNING[0])
        watcher(event)
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert not watcher.asked_to_stop()


def test_handlers_are_as_they_were_afterwards() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with Watcher():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_what_happens_is_printed_a_line_each_without_progress(capsys: pytest.CaptureFixture[str]) -> None:
    row = {"train_loss": 0.5, "loss": 0.25, "accuracy": 1.0, "auc": 0.75, "best": 1.0, "epoch": 1.0}
    with Watcher() as watcher:
        for event in (Working("decoding films", 1, 2), *LEARNING, Epoch(row | {"images_per_second": 9.0})):
            watcher(event)
    assert capsys.readouterr().err.splitlines() == [
        "run: run",
        "epoch 1: training loss 0.5000, validation loss 0.2500, accuracy 1.0000, AUC 0.7500, 9 images/s, best so far",
    ]
