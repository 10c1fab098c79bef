"""Progress on standard error, only where a person watches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

Item = TypeVar("Item")


def track(items: Sequence[Item], doing: str) -> Iterator[Item]:
    """Pass the items on, with a bar that shows what is being done, how far and how long yet."""
    with bar() as progress:
        task = progress.add_task(doing, total=len(items))
        for item in items:
            yield item
            progress.advance(task)


@contextmanager
def report(doing: str) -> Iterator[Callable[[int, int], None]]:
    """A bar for work that tells how much of how many it has done."""
    with bar() as progress:
        task = progress.add_task(doing, total=None)
        yield lambda done, total: progress.update(task, completed=done, total=total)


def bar() -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
