"""How far it is, where many films come and a person watches; rich is imported only then."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager


@contextmanager
def bar(films: int) -> Iterator[Callable[[], None]]:
    """A bar with rate and remaining time; it moves on when what it gives is called."""
    if films < 2 or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TimeRemainingColumn
    from rich.text import Text

    from hilum.cli.terminal.console import Console

    class Rate(ProgressColumn):
        def render(self, task: Task) -> Text:
            return Text(f"{task.speed:,.1f} films/s" if task.speed else "")

    # Rows printed to the same terminal go above the bar; rows that are piped must not be caught.
    with Progress(
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
        redirect_stdout=sys.stdout.isatty(),
    ) as progress:
        task = progress.add_task("predicting", total=films)
        yield lambda: progress.advance(task)
