"""What `hilum train` shows while a session goes on, and how it is stopped."""

from __future__ import annotations

import signal
from types import FrameType
from typing import TYPE_CHECKING, Any, Self

from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeRemainingColumn

from hilum.cli.terminal.console import Console
from hilum.cli.terminal.progress import Quiet

if TYPE_CHECKING:
    from hilum.training.observer import Event


class Watcher:
    """An observer that prints on standard error, with a bar below where a person watches; it also takes the signals.

    While a network learns, SIGTERM and Ctrl-C are noted, so that the step in progress is finished and saved. A second
    one ends the command at once, and so does one at any other time.
    """

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False, markup=False, soft_wrap=True)
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
        self.bar = Progress(*columns, console=self.console, transient=True, disable=not self.console.is_terminal)
        self.task: TaskID | None = None
        self.doing = ""
        self.quiet = Quiet()
        self.learning = self.stopped = False

    def __enter__(self) -> Self:
        self.before = {number: signal.signal(number, self._note) for number in (signal.SIGTERM, signal.SIGINT)}
        self.bar.start()
        return self

    def __exit__(self, *error: Any) -> None:
        self.bar.stop()
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def __call__(self, event: Event) -> None:
        from hilum.training.observer import Epoch, Learning, Step, Working

        self.learning = isinstance(event, (Learning, Step, Epoch))
        if isinstance(event, Working):
            self._show(event.doing, str(event), event.done, event.total)
            if self.bar.disable and self.quiet.too_long():
                self.console.print(str(event))
        elif isinstance(event, Step):
            done = (event.epoch - 1) * event.batches + event.batch
            self._show("learning", str(event), done, event.epochs * event.batches)
        else:
            self.console.print(str(event))

    def asked_to_stop(self) -> bool:
        """Whether Ctrl-C was pressed or the process asked to end; training looks after each step."""
        return self.stopped

    def _show(self, doing: str, text: str, done: int, total: int) -> None:
        if self.task is None or self.doing != doing:
            if self.task is not None:
                self.bar.remove_task(self.task)
            self.task, self.doing = self.bar.add_task(text), doing
        self.bar.update(self.task, description=text, completed=done, total=total)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.learning and not self.stopped:
            self.stopped = True
            return
        signal.signal(number, self.before[signal.Signals(number)])
        signal.raise_signal(number)
