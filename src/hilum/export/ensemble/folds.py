"""`hilum train --folds`: each fold's run ends in a bundle, which judges the films that it never saw.

So every film is judged once, by a network that neither learned from it nor was chosen or calibrated by it, and the
figures over all of them hold for such a network on new films of the same source.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from hilum.bundle.card import BundleError
from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import load
from hilum.dataset.folds import PREDICTIONS, TABLE, Folds, name_of
from hilum.dataset.manifest.manifest import load_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import Scope, judge
from hilum.evaluation.predictions import (
    Predictions,
    header_of,
    join_predictions,
    load_predictions,
    rows_of,
    save_predictions,
)
from hilum.evaluation.report.words import NAMES, NOTHING, with_interval
from hilum.export.export import export_run
from hilum.measures.figure import EvaluationError, Figure
from hilum.measures.films.binary import binary_figures
from hilum.system.files import write_whole
from hilum.system.notebook import html_table
from hilum.system.rows import write_csv
from hilum.training.observer import Notice, Working
from hilum.training.run import Run
from hilum.training.series.folds import FoldPlan
from hilum.training.series.sweep import FAILURES
from hilum.training.session import Session, kept_epoch

FIGURES = "out-of-fold.json"
SHOWN = ("auroc", "average_precision", "sensitivity", "specificity")
HEADER = ("fold", "films", "patients", *(NAMES[name] for name in SHOWN), "kept epoch", "reason")


@dataclass(frozen=True, slots=True, eq=False)
class FoldResult:
    """What became of a fold: what its bundle said of the films left out, or why it said nothing."""

    fold: int
    history: Sequence[Mapping[str, float]]
    films: Predictions | None
    reason: str = ""


@dataclass(frozen=True, eq=False)
class TrainedFolds:
    """Folds that are over: what became of each, and how good they are on films that they never saw.

    What cannot be calibrated and judged in parts is refused before anything is trained.

    >>> hilum.train("films/manifest.parquet", folds=5, out="folds")
    Traceback (most recent call last):
    ...
    hilum.bundle.card.BundleError: this run cannot end in a bundle: ...need at least 20 of each...or take fewer folds
    """

    folds: Folds
    results: Sequence[FoldResult]

    @property
    def folder(self) -> Path:
        """Where the folds' runs and the predictions out of fold lie."""
        return self.folds.folder

    @cached_property
    def films(self) -> Predictions | None:
        """What all films' networks said of them; None where no fold got so far."""
        parts = [result.films for result in self.results if result.films is not None]
        return join_predictions(parts) if parts else None

    @cached_property
    def figures(self) -> dict[str, Figure]:
        """Over all films, each judged out of fold at its network's own threshold, with intervals over patients."""
        return {} if self.films is None else _figures(self.films)

    def rows(self) -> list[dict[str, Any]]:
        """One row a film, for a data frame: what out-of-fold.csv holds."""
        return [
            {"fold": name_of(result.fold), **row}
            for result in self.results
            if result.films is not None
            for row in rows_of(result.films)
        ]

    def table(self) -> list[list[str]]:
        """A row for each fold and one for all together, under HEADER."""
        rows = []
        for result in self.results:
            kept = kept_epoch(result.history)
            epoch = NOTHING if kept is None else f"{kept['epoch']:.0f}"
            rows.append([name_of(result.fold), *_cells(result.films), epoch, result.reason])
        return [*rows, ["all", *_cells(self.films), "", ""]]

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        figures = {name: figure.describe() for name, figure in self.figures.items()}
        reasons = {name_of(result.fold): result.reason for result in self.results if result.reason}
        return {"folds": str(self.folder), "figures": figures, "failed": reasons}

    def _repr_html_(self) -> str:
        return html_table(f"folds: {self.folder}", HEADER, self.table(), [RESEARCH_USE])


def train_folds(session: Session, plan: FoldPlan) -> TrainedFolds:
    """What became of every fold; one that fails leaves the others, and what was done before is not done again."""
    folds = plan.folds
    results: list[FoldResult] = []
    for fold in range(folds.count):
        session.observer(Notice(f"fold {fold + 1} of {folds.count}: {folds.run(fold)}"))
        run = Run(folds.run(fold))
        try:
            films = _out_of_fold(session, plan, fold)
            results.append(FoldResult(fold, run.read_history(), films))
        except (*FAILURES, BundleError, EvaluationError) as error:
            reason = (str(error) or type(error).__name__).splitlines()[0]
            session.observer(Notice(f"failed: {name_of(fold)}: {reason}"))
            results.append(FoldResult(fold, run.read_history(), None, reason))
    trained = TrainedFolds(folds, results)
    _save(trained)
    return trained


def _out_of_fold(session: Session, plan: FoldPlan, fold: int) -> Predictions:
    """The predictions of a fold, from what is there already as far as it goes."""
    folds = plan.folds
    if folds.predictions(fold).is_file():
        return load_predictions(folds.predictions(fold))
    bundle = folds.bundle(fold)
    if not bundle.is_file():
        session.train_fold(plan, fold)
        export_run(Run(folds.run(fold)), bundle, on_progress=lambda *stage: session.observer(Working(*stage)))
    data = DataSet(load_manifest(folds.manifest(fold)), folds.manifest(fold).name)
    with load(bundle) as predictor:
        judged = judge(
            predictor,
            data,
            Scope(name_of(fold)),
            lambda done, total: session.observer(Working("judging the films left out", done, total)),
        )
    save_predictions(judged.predictions, folds.predictions(fold))
    auroc = with_interval("auroc", _figures(judged.predictions)["auroc"])
    session.observer(Notice(f"{name_of(fold)}: AUROC {auroc} on {len(judged.predictions):,} films that it never saw"))
    return judged.predictions


def _figures(films: Predictions) -> dict[str, Figure]:
    return binary_figures(films.probability, films.truth, films.called, films.patients)


def _cells(films: Predictions | None) -> list[str]:
    if films is None:
        return [NOTHING] * (2 + len(SHOWN))
    figures = _figures(films)
    patients = len(set(films.patients.tolist()))
    return [f"{len(films):,}", f"{patients:,}", *(with_interval(name, figures[name]) for name in SHOWN)]


def _save(trained: TrainedFolds) -> None:
    """The table, all predictions with their folds, and the figures over all of them."""
    folder, films = trained.folder, trained.films
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([HEADER, *trained.table()])
    write_whole(folder / TABLE, text.getvalue())
    if films is not None:
        header = ("fold", *header_of(films))
        write_csv(folder / PREDICTIONS, [header, *([row[name] for name in header] for row in trained.rows())])
        write_whole(folder / FIGURES, json.dumps(trained.to_dict(), indent=1) + "\n")
