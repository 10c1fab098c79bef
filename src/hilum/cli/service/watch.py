"""`hilum watch`: films judged as they arrive in a folder."""

from __future__ import annotations

import signal
from datetime import datetime
from pathlib import Path
from threading import Event
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.radiograph.patient import Patient
from hilum.system.cores import MOST_PROCESSES

if TYPE_CHECKING:
    from hilum.service.watch import Counts


def watch(
    folder: Annotated[Path, typer.Argument(help="Where films arrive; folders below it count, too.", metavar="PATH")],
    out: Annotated[Path, typer.Option(help="Where the results go, and the journal of what is done.", metavar="DIR")],
    model: Annotated[
        str, typer.Option(help="The bundle to use; or default, which ships with hilum.", metavar="MODEL")
    ] = "default",
    operating_point: Annotated[
        str | None, typer.Option(help="Decide at this operating point of the bundle.", metavar="NAME")
    ] = None,
    threshold: Annotated[
        float | None, typer.Option(help="Decide at this probability instead.", min=0, max=1, metavar="P")
    ] = None,
    patient: Annotated[
        Patient | None,
        typer.Option(
            help="The films are of a child (under 18) or an adult; else a DICOM age tells, or the network.",
            metavar="WHO",
        ),
    ] = None,
    overlays: Annotated[
        bool, typer.Option("--overlays", help="Draw each film with what speaks for pneumonia over it, too.")
    ] = False,
    settle: Annotated[
        float, typer.Option(help="Seconds without a change after which a film counts as whole.", min=0.1, metavar="N")
    ] = 3,
    processes: Annotated[
        int | None,
        typer.Option(help="Processes that judge films; as many as cores.", min=1, max=MOST_PROCESSES, metavar="N"),
    ] = None,
) -> None:
    """Judge films as they arrive in a folder, each once, when it is whole.

    DIR gets one FILM.json a film: the line that `hilum predict --json` prints. It may be stopped or killed at any time
    and goes on where it was; no film is lost and none judged twice. A line says when films are not of the kind any more
    that the bundle knows (`hilum drift`). Research use only, not a medical device.
    """
    from hilum.bundle.asked import Asked
    from hilum.bundle.asked import settle as settle_asked
    from hilum.bundle.card import BundleError
    from hilum.bundle.drift.monitor import MonitorError
    from hilum.bundle.predictor import load
    from hilum.service.films.monitors import Monitors
    from hilum.service.films.pool import FilmPool
    from hilum.service.films.process import Limits
    from hilum.service.films.served import Served, Wanted
    from hilum.service.watch import Watch
    from hilum.system.cores import available_cores
    from hilum.system.database import DatabaseError

    if not folder.is_dir():
        say(f"{folder}: no folder; name the one in which films arrive")
        raise typer.Exit(1)
    if out.resolve().is_relative_to(folder.resolve()):
        say(f"{out}: lies in the folder that is watched, where results would be taken for films; name another one")
        raise typer.Exit(1)
    asked = Asked(operating_point=operating_point, threshold=threshold, heatmaps=overlays, patient=patient)
    with one_line(BundleError, DatabaseError, MonitorError):
        predictor = load(model, threads=1)
        try:
            settle_asked(asked, predictor.card)
        except BundleError as error:
            raise BundleError(f"{model}: {error}") from None
        name = predictor.path.stem
        bundles = (Served.of(name, predictor),)
        wanted = Wanted(name, asked, pictures=("overlay",) if overlays else ())
        stopped = Event()
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: stopped.set())
        with (
            Monitors(bundles, out, _say_with_time) as monitors,
            FilmPool(bundles, processes or available_cores(), Limits(), monitors=monitors) as pool,
        ):
            say(f"watching {folder}; results go to {out}; Ctrl-C stops")
            Watch(folder, out, pool, wanted, settle).run(stopped.is_set, _say_counts)


def _say_counts(counts: Counts) -> None:
    """How much was done, without a name: this ends up in logs."""
    failed = f"; {counts.failed:,} could not be read" if counts.failed else ""
    _say_with_time(f"films judged: {counts.films:,}{failed}")


def _say_with_time(line: str) -> None:
    say(f"{datetime.now():%Y-%m-%d %H:%M:%S} {line}")
