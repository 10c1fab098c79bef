"""`hilum drift`: whether films are still of the kind that a bundle was fitted to."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.progress import report_stages
from hilum.cli.terminal.table import print_table

if TYPE_CHECKING:
    from hilum.evaluation.drift.drift import Drift

ALARM = 3  # exit code
TABLE_ROWS = 6


def drift(
    model: Annotated[str, typer.Argument(help="The bundle, or default, which ships.", metavar="MODEL")],
    films: Annotated[
        list[Path],
        typer.Argument(
            help="New films: files, folders, a manifest, or the films.csv that an earlier run wrote.", metavar="FILMS"
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", help="Write drift.html, drift.json and films.csv to this folder.", metavar="DIR"),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(help="Watch films as they come: what is kept between runs, made anew if absent.", metavar="FILE"),
    ] = None,
    split: Annotated[
        str | None, typer.Option(help="The split of a manifest; every film if left out.", metavar="NAME")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Say whether films are still of the kind that a bundle was fitted to, by what, and which lie the farthest out.

    The exit code is 3 where they are not, for cron. Films of the same kind give an alarm in at most one of twenty runs;
    with --state, which counts every film once for each time that it is given, at most once in 10,000 films on average.
    A bundle that ships knows films of other hospitals than yours: fit its baseline to your own with
    `hilum calibrate --unlabelled` first.
    """
    if out is not None:
        need("hilum drift --out", "evaluate", "polars", "matplotlib")
    from hilum.bundle.card import BundleError
    from hilum.bundle.drift.monitor import MonitorError
    from hilum.evaluation.drift.report import drift as set_against
    from hilum.evaluation.drift.report import is_manifest
    from hilum.measures.figure import EvaluationError
    from hilum.system.text import json_text

    expected: list[type[Exception]] = [BundleError, MonitorError, EvaluationError]
    if is_manifest(films):
        need("hilum drift with a manifest", "data", "polars")
        from hilum.dataset.manifest.manifest import ManifestError

        expected.append(ManifestError)
    with one_line(*expected), report_stages() as on_progress:
        made = set_against(model, films, out, split=split, state=state, on_progress=on_progress)
    if made.judged.passed_over:
        say(f"passed over, neither JPEG, PNG nor DICOM: {made.judged.passed_over}")
    if as_json:
        print(json_text(made.to_dict(), indent=1))
    else:
        answer(*made.sentences())
        if made.found is not None:
            _print(made.found)
    say(*made.failures)
    if out is not None and made.found is not None:
        say(f"report: {out / 'drift.html'}")
    if made.alarms:
        raise typer.Exit(ALARM)
    if made.failures:
        raise typer.Exit(1)


def _print(made: Drift) -> None:
    from hilum.evaluation.drift.words import HEADER, rows

    for group in made.comparison.groups:
        print_table(HEADER, list(rows(group.shifts))[:TABLE_ROWS])
    print_table(
        ("Farthest film", "Spreads out", "By"),
        [(made.judged.paths[far.row], f"{far.distance:.1f}", "; ".join(far.why)) for far in made.farthest],
    )
