"""`hilum.compare`: models side by side on the same films. `hilum compare` calls it and prints what comes."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import load
from hilum.bundle.shipped import DIGESTS, find_bundle
from hilum.evaluation.comparison.paired import ALONE, Comparison, compare_predictions
from hilum.evaluation.data_set import open_data_set
from hilum.evaluation.evaluate import OnProgress, Report, check_folder
from hilum.evaluation.judge import Scope, judge
from hilum.evaluation.predictions import Predictions, load_predictions
from hilum.evaluation.report.comparison import (
    HEADER,
    describe_comparison,
    make_comparison_report,
    rows_of,
    tests_in_words,
    verdicts,
)
from hilum.evaluation.report.document import Document
from hilum.evaluation.report.page import write_page
from hilum.measures.bootstrap import SEED, Resampling
from hilum.measures.figure import EvaluationError
from hilum.system.files import write_whole
from hilum.system.notebook import html_table

Model = str | os.PathLike[str] | Report


@dataclass(frozen=True, slots=True, eq=False)
class ComparisonReport:
    """What came of a comparison: figures and differences with how sure they are, and the document that explains them.

    In a notebook it shows a table; `to_dict` gives all figures, `rows` one row a model, and `save` writes the report.

    >>> compared = hilum.compare(["model.onnx", "boxes.onnx"], manifest="films/manifest.parquet", split="all")
    >>> [row["model"] for row in compared.rows()]
    ['model', 'boxes']
    """

    comparison: Comparison
    document: Document

    @property
    def differences(self) -> list[str]:
        """Whether each model differs from the first, in plain words."""
        return verdicts(self.comparison)

    @property
    def tests(self) -> list[str]:
        """The same for who asks how sure: differences with intervals, and tests by their names."""
        return [tests_in_words(difference) for difference in self.comparison.differences]

    @property
    def notes(self) -> list[str]:
        """Which films were left out, and which a model was trained on."""
        return self.comparison.notes

    def to_dict(self) -> dict[str, Any]:
        """Every figure and test as plain data: what comparison.json holds."""
        return describe_comparison(self.comparison)

    def rows(self) -> list[dict[str, Any]]:
        """One row a model, for a data frame: its figures on the films of all, each with its interval."""
        rows = []
        for model, figures in zip(self.comparison.models, self.comparison.figures, strict=True):
            row: dict[str, Any] = {"model": model.name, "threshold": model.threshold}
            for name, figure in figures.items():
                row |= {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}
            rows.append(row)
        return rows

    def summary(self) -> list[list[str]]:
        """A row a model in words, under HEADER."""
        return rows_of(self.comparison)

    def save(self, folder: str | os.PathLike[str]) -> Path:
        """Write comparison.html and comparison.json; returns the page's path."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "comparison.json", json.dumps(self.to_dict(), indent=1) + "\n")
        page = folder / "comparison.html"
        write_whole(page, write_page(self.document))
        return page

    def _repr_html_(self) -> str:
        return html_table(
            self.document.title, HEADER, self.summary(), [*self.differences, *self.tests, *self.notes, RESEARCH_USE]
        )


def compare(
    models: Sequence[Model],
    *,
    manifest: str | os.PathLike[str] | None = None,
    split: str | None = None,
    out: str | os.PathLike[str] | None = None,
    allow_training_films: bool = False,
    seed: int = SEED,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> ComparisonReport:
    """Set models side by side on the films that all of them judged, the others against the first.

    `models` are reports of `hilum.evaluate`, the folders it wrote or their predictions.csv, or bundles, which are
    judged on `manifest` (or a folder of films) first. With `out` the comparison is written to that folder.

    >>> compared = hilum.compare(["model.onnx", "boxes.onnx"], manifest="films/manifest.parquet", split="all")
    >>> print(*compared.differences)
    No difference shown between boxes and model: ...

    Raises EvaluationError where models have no film in common, or fewer than two are given, and what `hilum.evaluate`
    raises.
    """
    if len(models) < 2:
        raise EvaluationError(ALONE)
    if out is not None:
        check_folder(Path(out))
    data = None if manifest is None else open_data_set(Path(manifest), partial(on_progress, "reading films"))
    judged: list[Predictions] = []
    notes: list[str] = []
    for model in models:
        if isinstance(model, Report):
            judged.append(model.evaluation.judgement.predictions)
        elif (bundle := _bundle(Path(model))) is None:
            judged.append(load_predictions(Path(model)))
        elif data is None:
            raise EvaluationError(f"{model}: a bundle needs films to be judged on; name them with --manifest")
        else:
            scope = Scope(split or data.usual_split, allow_training_films=allow_training_films)
            judgement = judge(load(bundle), data, scope, partial(on_progress, f"judging films with {bundle.name}"))
            judged.append(judgement.predictions)
            if seen := sum(judgement.seen.values()):
                notes.append(f"{bundle.name} was trained or calibrated on {seen:,} of these films")
    comparison = compare_predictions(_with_names(judged, models), Resampling(seed=seed))
    comparison = replace(comparison, notes=[*notes, *comparison.notes])
    report = ComparisonReport(comparison, make_comparison_report(comparison))
    if out is not None:
        report.save(out)
    return report


def _bundle(path: Path) -> Path | None:
    """The bundle that is meant; None for predictions, which may be called as the bundle that ships."""
    shipped = str(path) in DIGESTS and not path.exists()
    return find_bundle(path) if shipped or path.suffix == ".onnx" else None


def _with_names(judged: list[Predictions], models: Sequence[Model]) -> list[Predictions]:
    """Names that tell the models apart: the whole path where two are called the same, or which of the reports it is."""
    names = [each.name for each in judged]
    whole = [
        f"{each.name} ({place})" if isinstance(model, Report) else os.fspath(model)
        for place, (each, model) in enumerate(zip(judged, models, strict=True), start=1)
    ]
    return [
        replace(each, name=path) if names.count(each.name) > 1 else each
        for each, path in zip(judged, whole, strict=True)
    ]
