"""Progress on standard error, only where a person watches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from hilum.cli.terminal.console import Console

Item = TypeVar("Item")


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
        yield lambda doing, done, total: progress.update(task, description=doing, completed=done, total=total)


def bar(*, shown: bool = True) -> Progress:
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not (shown and console.is_terminal),
    )
