"""`hilum.evaluate`: a bundle judged on films of known truth. `hilum evaluate` calls it and prints what comes."""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from hilum.bundle.prediction import RESEARCH_USE
from hilum.bundle.predictor import Predictor, load
from hilum.evaluation.boxes_csv import save_boxes
from hilum.evaluation.data_set import open_data_set
from hilum.evaluation.journal.saved import save_journal
from hilum.evaluation.judge import PATIENT, Scope, judge
from hilum.evaluation.measure import Evaluation, measure
from hilum.evaluation.metrics_json import describe
from hilum.evaluation.predictions import rows_of, save_predictions
from hilum.evaluation.readers.study import study_readers
from hilum.evaluation.report.box_gallery import choose_box_films
from hilum.evaluation.report.document import Document
from hilum.evaluation.report.gallery import choose_films
from hilum.evaluation.report.markdown import write_markdown
from hilum.evaluation.report.page import write_page
from hilum.evaluation.report.report import make_report
from hilum.evaluation.report.words import BOX_NAMES, NAMES, NOTHING, WHOSE, interval, of_what, value
from hilum.evaluation.robustness.saved import load_robustness
from hilum.evaluation.shortcut import metadata_alone
from hilum.measures.bootstrap import SEED, Resampling
from hilum.measures.figure import EvaluationError, Figure
from hilum.system.files import write_whole
from hilum.system.notebook import html_table

OnProgress = Callable[[str, int, int], None]

HEADER = ("figure", "value", "95% interval", "films")
SHOWN = ("auroc", "average_precision", "sensitivity", "specificity", "ppv", "npv", "accuracy", "f1")
SHOWN_OF_GROUPS = ("auroc", "sensitivity", "specificity")
SHOWN_OF_BOXES = ("rsna_score", "map_50", "sensitivity_at_1")


@dataclass(frozen=True, slots=True, eq=False)
class Report:
    """What came of judging a bundle: every figure with its interval, and the document that explains them to people.

    In a notebook it shows the main figures; `to_dict` gives all of them, `rows` what the bundle said of each film, and
    `save` writes the report.

    >>> report = hilum.evaluate("model.onnx", "films/manifest.parquet", split="all")
    >>> figure = report.figures["auroc"]
    >>> figure.low <= figure.value <= figure.high, len(report.rows())
    (True, 110)
    >>> saved = report.save("report")
    """

    evaluation: Evaluation
    document: Document

    @property
    def name(self) -> str:
        """MODEL-SPLIT, as the folder of this report is called unless told otherwise."""
        judged = self.evaluation.judgement
        return f"{judged.model.stem}-{judged.split}"

    @property
    def figures(self) -> dict[str, Figure]:
        """Those over all films that could be read, as `figures["auroc"].value`, `.low`, `.high`."""
        return self.evaluation.all

    @property
    def cautions(self) -> list[str]:
        """What to know before any figure is believed; first of all if these films were no test."""
        return [*([self.document.stamp] if self.document.stamp else []), *self.document.cautions]

    def to_dict(self) -> dict[str, Any]:
        """Every figure as plain data: what metrics.json holds."""
        return describe(self.evaluation)

    def rows(self) -> list[dict[str, Any]]:
        """One row a film, for a data frame: what predictions.csv holds."""
        return rows_of(self.evaluation.judgement.predictions)

    def summary(self) -> Iterator[tuple[str, str, str, str]]:
        """The main figures in words, under HEADER."""
        for name in SHOWN:
            figure = self.evaluation.all[name]
            yield NAMES[name], value(name, figure), interval(name, figure), of_what(figure) or NOTHING
        for group in self.evaluation.subgroups.get(PATIENT, []):
            for name in SHOWN_OF_GROUPS:
                figure, whose = group.figures[name], WHOSE.get(group.name, group.name)
                yield f"{NAMES[name]}, {whose}", value(name, figure), interval(name, figure), of_what(figure) or NOTHING
        if self.evaluation.boxes is not None:
            for name in SHOWN_OF_BOXES:
                figure = self.evaluation.boxes.figures[name]
                yield BOX_NAMES[name], value(name, figure), interval(name, figure), NOTHING

    def save(self, folder: str | os.PathLike[str], *, markdown: bool = False) -> Path:
        """Write report.html, metrics.json, predictions.csv, a detector's boxes.csv, and journal/ to paste into a paper;
        returns the page's path."""
        folder, judged = Path(folder), self.evaluation.judgement
        folder.mkdir(parents=True, exist_ok=True)
        save_predictions(judged.predictions, folder / "predictions.csv")
        if judged.found is not None:
            save_boxes(judged, folder / "boxes.csv")
        write_whole(folder / "metrics.json", json.dumps(self.to_dict(), indent=1) + "\n")
        page = folder / "report.html"
        write_whole(page, write_page(self.document))
        save_journal(self.document, folder / "journal")
        if markdown:
            write_markdown(self.document, folder)
        return page

    def _repr_html_(self) -> str:
        title = f"{self.document.title} · {self.document.subtitle}"
        return html_table(title, HEADER, self.summary(), [*self.cautions, RESEARCH_USE])


def evaluate(
    model: str | os.PathLike[str] | Predictor,
    films: str | os.PathLike[str],
    *,
    split: str | None = None,
    out: str | os.PathLike[str] | None = None,
    by: Sequence[str] = (),
    operating_point: str | None = None,
    markdown: bool = False,
    robustness: str | os.PathLike[str] | None = None,
    readings: str | os.PathLike[str] | None = None,
    ordered: Sequence[str] = (),
    allow_training_films: bool = False,
    seed: int = SEED,
    on_progress: OnProgress = lambda doing, done, total: None,
) -> Report:
    """Judge a bundle on films of known truth, at a threshold fixed beforehand.

    `films` is a manifest or a folder of films named by class. `split` is the one to judge on, test if left out, and
    every film of a folder in which nothing is set apart; "all" takes every film. Columns named in `by` are groups with
    figures of their own. With `out` the report is written to that folder, with `markdown` in a second form as well.
    `robustness` is a folder of `hilum robustness`, whose findings become a section, and `readings` one of `hilum
    label`, whose readers are set beside the model; labels with an order are named in `ordered`, from least to most.
    `seed` is of the bootstrap and of the films taken by chance. `on_progress` is told what is done, how far, of how
    many.

    >>> report = hilum.evaluate("model.onnx", "films/manifest.parquet", split="val", by=["sex"])
    >>> 0 <= report.figures["auroc"].low <= 1
    True

    Raises BundleError, ManifestError, SourceError, OSError where bundle or films cannot be opened, and EvaluationError
    where these films must not or cannot be judged, as when the bundle was trained on them.
    """
    if out is not None:
        check_folder(Path(out))
    if ordered and readings is None:
        raise EvaluationError("--ordered is about readers' labels; name their readings with --readings")
    # The bundle first: reading a folder of films takes long, a misspelled name none.
    predictor = model if isinstance(model, Predictor) else load(model)
    data = open_data_set(Path(films), partial(on_progress, "reading films"))
    scope = Scope(split or data.usual_split, operating_point, tuple(by), allow_training_films)
    tried = None if robustness is None else load_robustness(Path(robustness), predictor.digest, data, scope.split)
    judged = judge(predictor, data, scope, partial(on_progress, "judging films"))
    resampling = Resampling(seed=seed)
    readers = None if readings is None else study_readers(judged, Path(readings), ordered, resampling)
    evaluation = measure(judged, metadata_alone(judged), resampling, readers)
    document = make_report(
        evaluation,
        choose_films(judged, evaluation.failures, predictor, seed),
        choose_box_films(judged, evaluation.boxes, seed) if evaluation.boxes is not None else (),
        _command(predictor.path if isinstance(model, Predictor) else Path(model), data.name, scope, seed)
        + ("" if readings is None else shlex.join(["", "--readings", Path(readings).name]).removeprefix("''"))
        + (shlex.join(["", "--ordered", ",".join(ordered)]).removeprefix("''") if ordered else ""),
        tried,
    )
    report = Report(evaluation, document)
    if out is not None:
        report.save(out, markdown=markdown)
    return report


def check_folder(folder: Path) -> None:
    """Where no report could be written is known before films are judged for it."""
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        raise EvaluationError(f"{nearest}: is a file, so no folder can be made there; name another place")
    if not os.access(nearest, os.W_OK):
        raise EvaluationError(f"{nearest}: cannot be written to; name another place")


def _command(model: Path, films: str, scope: Scope, seed: int) -> str:
    """What gives the same figures again. Files go by their names alone: where they lie is nobody's concern."""
    words = ["hilum", "evaluate", model.name, films, "--split", scope.split, "--seed", str(seed)]
    for column in scope.by:
        words += ["--by", column]
    if scope.operating_point:
        words += ["--operating-point", scope.operating_point]
    if scope.allow_training_films:
        words.append("--allow-training-films")
    return shlex.join(words)
