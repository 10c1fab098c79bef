"""Progress on standard error: a bar where a person watches, and in a log a line now and then where it takes long."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

from hilum.cli.terminal.console import Console
from hilum.cli.terminal.lines import say

Item = TypeVar("Item")
QUIET_SECONDS = 30.0  # after which a log hears of work for which a terminal has a bar


class Quiet:
    """Tells whether a log has heard of some work too long ago, and takes it that it hears of it then."""

    def __init__(self) -> None:
        self.heard = time.monotonic()

    def too_long(self) -> bool:
        """Whether to write a line now; from then on it is counted anew."""
        now = time.monotonic()
        if now - self.heard < QUIET_SECONDS:
            return False
        self.heard = now
        return True


def track(items: Iterable[Item], doing: str, total: int) -> Iterator[Item]:
    """Pass the items on, with a bar that shows what is being done, how far and how long yet."""
    with bar() as progress:
        task = progress.add_task(doing, total=total)
        for item in items:
            yield item
            progress.advance(task)


@contextmanager
def report(doing: str, *, shown: bool = True) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that tells how much of how many it has done."""
    with bar(shown=shown) as progress:
        task = progress.add_task(doing, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


@contextmanager
def report_stages() -> Iterator[Callable[[str, int, int], None]]:
    """A bar for work in several stages, that tells what it does and how much of how many it has done."""
    with bar() as progress:
        task = progress.add_task("starting", total=None)
        quiet = Quiet()

        def show(doing: str, done: int, total: int) -> None:
            progress.update(task, description=doing, completed=done, total=total)
            if progress.disable and quiet.too_long():
                say(f"{doing}: {done:,} of {total:,}")

        yield show


def bar(*, shown: bool = True) -> Progress:
    """A bar that shows only on a terminal, and is gone when the work is done."""
    console = Console(stderr=True)
    return Progress(
        SpinnerColumn(),  # moves even while a single step, as writing a graph, takes a minute
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
