"""`hilum runs`: which run came out best."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.lines import say
from hilum.cli.terminal.table import print_table

if TYPE_CHECKING:
    from hilum.evaluation.comparison.leaderboard import Standing

HEADER = ("run", "network", "AUC", "accuracy", "loss", "epochs", "kept", "time", "device", "films", "bundle", "recipe")


def runs(
    folder: Annotated[Path, typer.Argument(help="The folder in which runs are kept.", metavar="DIR")],
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON array.")] = False,
) -> None:
    """List the runs in a folder, the best AUC on validation first.

    Figures are those of the epoch that is kept, on each run's own validation films: compare runs of the same data, and
    judge the winner on other films with `hilum evaluate`.
    """
    from hilum.evaluation.comparison.leaderboard import leaderboard
    from hilum.measures.figure import EvaluationError

    with one_line(EvaluationError):
        standings, unread = leaderboard(folder)
    if as_json:
        print(json.dumps([standing.describe() for standing in standings]))
    else:
        print_table(HEADER, [_row(standing) for standing in standings])
    for line in unread:
        say(line)
    if unread:
        raise typer.Exit(1)


def _row(standing: Standing) -> list[str]:
    size = standing.bundle_bytes
    return [
        standing.run,
        standing.network,
        *(_figure(value) for value in (standing.auc, standing.accuracy, standing.loss)),
        f"{standing.epochs} of {standing.planned}",
        "" if standing.kept is None else str(standing.kept),
        _time(standing.seconds),
        standing.device,
        f"{standing.films:,}",
        "" if size is None else f"{size / 1e6:.1f} MB",
        standing.recipe,
    ]


def _figure(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.4f}"


def _time(seconds: float) -> str:
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min" if minutes else f"{seconds:.0f} s"
