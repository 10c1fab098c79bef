"""`hilum data fetch`: a published data set comes from Kaggle into a folder."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer
from rich.filesize import decimal
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn

from hilum.cli.terminal.console import Console
from hilum.cli.terminal.lines import answer, say
from hilum.dataset.fetch.archive import FetchError
from hilum.dataset.fetch.fetch import ORIGINS, Kind, OnProgress
from hilum.dataset.fetch.fetch import fetch as fetch_into
from hilum.system.installed import install_extra


def fetch(
    kind: Annotated[Kind, typer.Argument(help="Which data set.", metavar="|".join(ORIGINS))],
    folder: Annotated[Path, typer.Argument(help="A new or empty folder for it.", metavar="DIR")],
) -> None:
    """Fetch a public data set from Kaggle into a folder.

    The download continues where it was interrupted, is checked, and is unpacked; DIR shows nothing until all of it is
    there. RSNA needs a Kaggle account: a token in ~/.kaggle/kaggle.json or in the environment, and the rules of the
    challenge accepted on its page. Nothing is uploaded.
    """
    origin = ORIGINS[kind]
    say(f"{kind}: {origin.page}", f"terms: {origin.terms}")
    console = Console(stderr=True)
    bar = Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=console,
        transient=True,
        disable=not console.is_terminal,
    )
    try:
        with bar:
            fetch_into(kind, folder, _drawn(bar) if console.is_terminal else _printed())
    except ModuleNotFoundError as error:
        if error.name not in ("kagglehub", "requests"):
            raise
        say(f"fetching needs kagglehub: {install_extra('data')}")
        raise typer.Exit(1) from error
    except FetchError as error:
        say(str(error))
        raise typer.Exit(1) from error
    except KeyboardInterrupt:
        say("stopped; the same command continues from here")
        raise typer.Exit(130) from None
    answer(f"{kind} is complete in {folder}; next: hilum data import {kind} {shlex.quote(str(folder))}")


def _drawn(bar: Progress) -> OnProgress:
    """For a person: one bar, which starts anew with each step."""
    step = ""

    def show(now: str, done: int, total: int) -> None:
        nonlocal step
        if now != step:
            for task in bar.task_ids:
                bar.remove_task(task)
            bar.add_task(now, total=total, completed=done)
            step = now
        bar.update(bar.task_ids[0], completed=done)

    return show


def _printed() -> OnProgress:
    """For a log: a line at the start of each step and at each tenth of it."""
    last = ("", -1)

    def show(now: str, done: int, total: int) -> None:
        nonlocal last
        tenths = done * 10 // max(total, 1)
        if (now, tenths) != last:
            last = (now, tenths)
            say(f"{now} {done / max(total, 1):.0%} ({decimal(done)} of {decimal(total)})")

    return show
