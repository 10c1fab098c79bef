"""`hilum drift`: whether films are still of the kind that a bundle was fitted to."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hilum.cli.terminal.errors import one_line
from hilum.cli.terminal.extras import need
from hilum.cli.terminal.files import find_films
from hilum.cli.terminal.lines import answer, say
from hilum.cli.terminal.progress import report
from hilum.cli.terminal.table import print_table

if TYPE_CHECKING:
    from hilum.bundle.drift.monitor import Monitor
    from hilum.bundle.predictor import Predictor
    from hilum.evaluation.drift.drift import Drift
    from hilum.evaluation.drift.judged import JudgedFilms

ALARM = 3  # exit code
TABLE_ROWS = 6
MANIFESTS = (".parquet", ".csv")


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
    from hilum.bundle.drift.comparison import FEWEST
    from hilum.bundle.drift.monitor import Monitor, MonitorError
    from hilum.bundle.predictor import load
    from hilum.evaluation.drift.drift import as_plain, measure_drift
    from hilum.evaluation.drift.judged import baseline_of
    from hilum.evaluation.drift.words import of_watch
    from hilum.measures.figure import EvaluationError
    from hilum.system.text import json_text

    with one_line(BundleError, MonitorError, EvaluationError):
        predictor = load(model)
        monitor = Monitor.load(state, baseline_of(predictor.card, predictor.path)) if state is not None else None
        with report("judging films") as on_progress:
            judged = _judged(predictor, films, split, on_progress)
        made = None
        if monitor is None or len(judged.paths) >= FEWEST:
            name = films[0].resolve().name
            made = measure_drift(predictor.card, predictor.digest, predictor.path.name, name, judged)
        raised = None
        if monitor is not None and state is not None:
            raised = monitor.add(judged.traits)
            monitor.save(state)
        if out is not None and made is not None:
            page = _write(made, monitor, out)
    if as_json:
        print(json_text(as_plain(made, monitor), indent=1))
    else:
        if made is not None:
            _print(made)
        if monitor is not None:
            answer(of_watch(monitor, raised))
    say(*judged.failures)
    if out is not None and made is not None:
        say(f"report: {page}")
    if (made is not None and made.alarms) or (monitor is not None and monitor.alarm is not None):
        raise typer.Exit(ALARM)
    if judged.failures:
        raise typer.Exit(1)


def _judged(
    predictor: Predictor, films: list[Path], split: str | None, on_progress: Callable[[int, int], None]
) -> JudgedFilms:
    from hilum.evaluation.drift.judged import baseline_of, is_judged, judge_films, load_judged
    from hilum.measures.figure import EvaluationError

    if len(films) == 1 and is_judged(films[0]):
        return load_judged(films[0], predictor.digest, baseline_of(predictor.card, predictor.path))
    if len(films) == 1 and films[0].suffix.lower() in MANIFESTS:
        return judge_films(predictor, _of_manifest(films[0], split), on_progress, of_patients=True)
    if split is not None:
        raise EvaluationError("--split: only a manifest has splits; leave it out")
    found, others = find_films(films)
    if others:
        say(f"passed over, neither JPEG, PNG nor DICOM: {others}")
    return judge_films(predictor, [film.path for film in found], on_progress)


def _of_manifest(path: Path, split: str | None) -> list[Path]:
    """One film of each patient, in the order of the manifest."""
    need("hilum drift with a manifest", "data", "polars")
    from hilum.dataset.manifest.manifest import ManifestError, load_manifest
    from hilum.evaluation.guard import choose

    with one_line(ManifestError):
        manifest = load_manifest(path)
    rows = choose(manifest, split or "all").unique("patient", keep="first", maintain_order=True)
    return [manifest.path(film) for film in rows["path"]]


def _write(made: Drift, monitor: Monitor | None, out: Path) -> Path:
    from hilum.evaluation.drift.drift import as_plain
    from hilum.evaluation.drift.judged import save_judged
    from hilum.evaluation.drift.page import document_of
    from hilum.evaluation.report.page import write_page
    from hilum.system.files import write_whole
    from hilum.system.text import json_text

    out.mkdir(parents=True, exist_ok=True)
    save_judged(made.judged, out / "films.csv", made.bundle, made.baseline)
    write_whole(out / "drift.json", json_text(as_plain(made, monitor), indent=1) + "\n")
    page = out / "drift.html"
    write_whole(page, write_page(document_of(made, monitor)))
    return page


def _print(made: Drift) -> None:
    from hilum.evaluation.drift.words import HEADER, rows
    from hilum.evaluation.drift.words import answer as in_words

    answer(in_words(made))
    for group in made.comparison.groups:
        print_table(HEADER, list(rows(group.shifts))[:TABLE_ROWS])
    print_table(
        ("Farthest film", "Spreads out", "By"),
        [(made.judged.paths[far.row], f"{far.distance:.1f}", "; ".join(far.why)) for far in made.farthest],
    )
