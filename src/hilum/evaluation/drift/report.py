"""`hilum.drift`: whether films are still of the kind that a bundle was fitted to. `hilum drift` prints what comes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import Any

from hilum.bundle.drift.comparison import FEWEST
from hilum.bundle.drift.monitor import Alarm, Monitor
from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import Predictor, load
from hilum.evaluation.drift.drift import Drift, as_plain, measure_drift, rows_of
from hilum.evaluation.drift.judged import (
    JudgedFilms,
    baseline_of,
    films_below,
    is_judged,
    judge_films,
    load_judged,
    of_manifest,
    save_judged,
)
from hilum.evaluation.drift.words import HEADER, answer, of_watch, rows
from hilum.measures.figure import EvaluationError
from hilum.system.files import write_whole
from hilum.system.notebook import html_table
from hilum.system.pictures import DOTS_PER_INCH
from hilum.system.text import json_text

OnProgress = Callable[[str, int, int], None]
Named = str | os.PathLike[str]
MANIFESTS = (".parquet", ".csv")
SHOWN = 6  # traits of each group, in a notebook


@dataclass(frozen=True, slots=True, eq=False)
class DriftReport:
    """What came of setting films against what a bundle knows. `found` is None where a watch was asked for and films
    were too few to compare; `monitor` is the watch, after these films, and `raised` the alarm that they gave.

    In a notebook it shows the surest differences; `to_dict` gives all of them, `rows` one row a trait, and `save`
    writes the page.

    >>> local = hilum.calibrate("model.onnx", "ours/manifest.parquet", "local.onnx", labeled=False)
    >>> report = hilum.drift("local.onnx", "films/manifest.parquet", split="all")
    >>> report.alarms, report.rows()[0]["p"] < 0.05
    (True, True)
    >>> saved = report.save("drift")
    """

    found: Drift | None
    judged: JudgedFilms
    monitor: Monitor | None = None
    raised: Alarm | None = None

    @property
    def alarms(self) -> bool:
        """Whether films are of another kind: by the comparison, or by the watch, whose alarm stays."""
        compared = self.found is not None and self.found.alarms
        return compared or (self.monitor is not None and self.monitor.alarm is not None)

    @property
    def failures(self) -> tuple[str, ...]:
        """A line on each film that could not be read."""
        return self.judged.failures

    def sentences(self) -> list[str]:
        """Whether films are of another kind and by what, and how the watch stands."""
        said = [] if self.found is None else [answer(self.found)]
        return said if self.monitor is None else [*said, of_watch(self.monitor, self.raised)]

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain data: what drift.json holds."""
        return as_plain(self.found, self.monitor)

    def rows(self) -> list[dict[str, Any]]:
        """One row a trait of each group of patients, the surest first, for a data frame."""
        return [] if self.found is None else rows_of(self.found)

    def summary(self) -> Iterator[tuple[str, ...]]:
        """The surest differences of each group of patients in words, under HEADER."""
        for group in [] if self.found is None else self.found.comparison.groups:
            yield from list(rows(group.shifts))[:SHOWN]

    def save(self, folder: Named) -> Path:
        """Write drift.html, drift.json and films.csv, which serves again in place of the films; returns the page's
        path. Raises EvaluationError where films were too few to compare."""
        from hilum.evaluation.drift.page import document_of  # and matplotlib, which nobody else needs
        from hilum.evaluation.report.page import write_page

        made, folder = self._compared(), Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        save_judged(made.judged, folder / "films.csv", made.bundle, made.baseline)
        write_whole(folder / "drift.json", json_text(self.to_dict(), indent=1) + "\n")
        page = folder / "drift.html"
        write_whole(page, write_page(document_of(made, self.monitor)))
        return page

    def _repr_html_(self) -> str:
        title = "drift" if self.found is None else f"drift · {self.found.films_name} · {self.found.file}"
        return html_table(title, HEADER, self.summary(), [*self.sentences(), RESEARCH_USE])

    def _repr_png_(self) -> bytes | None:
        """The traits of the group of patients that differs the most surely, drawn."""
        if self.found is None or not self.found.comparison.groups:
            return None
        from hilum.evaluation.drift.page import plot_of

        surest = min(self.found.comparison.groups, key=lambda group: group.shifts[0].p)
        encoded = BytesIO()
        plot_of(self.found, surest).canvas.savefig(encoded, format="png", dpi=DOTS_PER_INCH)
        return encoded.getvalue()

    def _compared(self) -> Drift:
        if self.found is None:
            raise EvaluationError(f"{len(self.judged.paths):,} films are too few to compare; give at least {FEWEST}")
        return self.found


def drift(
    model: Named | Predictor,
    films: Named | Sequence[Named],
    out: Named | None = None,
    *,
    split: str | None = None,
    state: Named | None = None,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> DriftReport:
    """Set films against what the bundle's own looked like: what differs, how surely and by how much.

    `films` is a manifest, of which one film of each patient is taken, of one `split` or of all; a film or a folder, or
    several; or the films.csv of an earlier report of this bundle. Films of the same kind alarm in at most one of twenty
    cases. With `state`, a file, they go to the watch that is kept there as well, in their order: of films of the same
    kind one in 10,000 alarms, on average and at most. With `out` the report is written to that folder.
    `on_progress` is told what is done, how far, of how many.

    >>> local = hilum.calibrate("model.onnx", "ours/manifest.parquet", "local.onnx", labeled=False)
    >>> report = hilum.drift("local.onnx", "ours/manifest.parquet")
    >>> report.alarms
    False
    >>> print(*report.sentences())
    No sign that these 120 films are of another kind than the 80 films that the model knows.

    Raises BundleError of a bundle without a baseline, ManifestError, OSError where films cannot be opened, MonitorError
    of a state that cannot be gone on with, and EvaluationError where films are too few.
    """
    predictor = model if isinstance(model, Predictor) else load(model)
    baseline = baseline_of(predictor.card, predictor.path)
    monitor = None if state is None else Monitor.load(Path(state), baseline)
    given = [Path(film) for film in ([films] if isinstance(films, (str, os.PathLike)) else films)]
    judged = _judged(predictor, given, split, partial(on_progress, "judging films"))
    found = None
    if monitor is None or len(judged.paths) >= FEWEST:
        found = measure_drift(predictor.card, predictor.digest, predictor.path.name, given[0].resolve().name, judged)
    raised = None
    if monitor is not None and state is not None:
        raised = monitor.add(judged.traits)
        monitor.save(Path(state))
    report = DriftReport(found, judged, monitor, raised)
    if out is not None and found is not None:
        report.save(out)
    return report


def _judged(
    predictor: Predictor, films: Sequence[Path], split: str | None, on_progress: Callable[[int, int], None]
) -> JudgedFilms:
    if len(films) == 1 and is_judged(films[0]):
        return load_judged(films[0], predictor.digest, baseline_of(predictor.card, predictor.path))
    if is_manifest(films):
        return judge_films(predictor, of_manifest(films[0], split), on_progress, of_patients=True)
    if split is not None:
        raise EvaluationError("--split: only a manifest has splits; leave it out")
    found, others = films_below(films)
    return replace(judge_films(predictor, found, on_progress), passed_over=others)


def is_manifest(films: Sequence[Path]) -> bool:
    """Whether films are given by a manifest, which is read with polars."""
    return len(films) == 1 and films[0].suffix.lower() in MANIFESTS and not is_judged(films[0])
