"""A bundle judges the films of a split, through the Predictor that everyone uses."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import polars as pl

from hilum.bundle.asked import Asked
from hilum.bundle.card import Card, OperatingPoint
from hilum.bundle.decide import class_probabilities
from hilum.bundle.prediction import Answered, Failed
from hilum.bundle.reading import Reading
from hilum.dataset.audit.finding import counted
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.patients import patients_of
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.guard import caveats, choose, refuse_seen, seen_films
from hilum.evaluation.heatmaps import Pointing, point
from hilum.evaluation.predictions import PASSED, Failure, Predictions
from hilum.evaluation.subgroups import age_band
from hilum.measures.boxes.overlap import Detections
from hilum.measures.figure import EvaluationError, Floats
from hilum.radiograph.patient import PATIENTS, Patient
from hilum.system.files import file_digest

if TYPE_CHECKING:
    from hilum.bundle.predictor import Predictor

PATIENT = "patient_group"
SUBGROUPS = ("label", "view", "sex", "age", "source")
NOT_NORMAL = "not_normal"  # a label of films that show something else than pneumonia
# Columns that name a film or a patient make no groups, and what they hold does not belong into a report.
NAMES = ("path", "patient", "study", "file_digest", "pixel_digest", "findings", "boxes")


@dataclass(frozen=True, slots=True)
class Scope:
    """Which films of a data set are judged, and how: `split`, or "all"; one of the bundle's operating points, None for
    its default; columns of the manifest to group films `by`, besides the usual ones."""

    split: str = "test"
    operating_point: str | None = None
    by: tuple[str, ...] = ()
    allow_training_films: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a model said of a split, and all that is needed to say how far to trust it.

    `points` is its operating point, or that for films of children and that for films of adults; `asked` is how each
    film was decided on.
    `readings` are what the model saw and `films` the manifest's rows, in the order of the predictions. `found` are all
    boxes that a detector drew on them, whatever their scores, as fractions of the film; None if the model draws none.
    `seen` counts training films among them, by split: not empty only where that was allowed.
    """

    card: Card
    points: dict[Patient | None, OperatingPoint]
    model: Path
    manifest: Manifest
    manifest_name: str
    split: str
    predictions: Predictions
    readings: tuple[Reading, ...]
    asked: tuple[Asked, ...]
    films: pl.DataFrame
    columns: dict[str, list[str | None]]
    pointing: tuple[Pointing, ...]
    found: tuple[Detections, ...] | None
    caveats: tuple[str, ...]
    seen: dict[str, int]
    unlabeled: int

    @property
    def film_paths(self) -> list[Path]:
        """Where the films of the predictions lie, in their order."""
        return [self.manifest.path(path) for path in self.predictions.paths]

    @property
    def point(self) -> OperatingPoint:
        """The operating point, by its name and rule; its figures are of all films only where there are no groups."""
        return next(iter(self.points.values()))

    def true_boxes(self, row: int) -> Floats | None:
        """Those of a film as (n, 4), in fractions of it; None where nobody drew any."""
        boxes = self.films["boxes"][row]
        return None if boxes is None else np.array(boxes.to_list(), np.float64).reshape(-1, 4)


def judge(
    predictor: Predictor,
    data: DataSet,
    scope: Scope | None = None,
    on_progress: Callable[[int, int], None] | None = None,
) -> Judgement:
    """Refuses films that the model was trained or calibrated on, unless the scope allows them."""
    card, manifest, scope = predictor.card, data.manifest, scope or Scope()
    whose: tuple[Patient | None, ...] = PATIENTS if card.groups else (None,)
    points = {patient: card.point(scope.operating_point, patient) for patient in whose}
    rows = with_digests(manifest, choose(manifest, scope.split))
    for column in scope.by:
        if column not in rows.columns or column in NAMES:
            there = ", ".join(name for name in rows.columns if name not in NAMES)
            raise EvaluationError(f"--by {column}: films cannot be grouped by that; the manifest has {there}")
    known = with_truth(card, rows)
    if not known.height:
        raise EvaluationError(f"no film of split {scope.split} has a label that says whether it shows pneumonia")
    # Before any film is predicted: what must not be judged should not cost the time.
    seen = seen_films(card, known)
    if not scope.allow_training_films:
        refuse_seen(seen, known.height, scope.split)
    cautions = (*caveats(card, manifest, rows, scope.split), *_disagreement(card, known), *data.assumed)
    asked = _asked(card, known, card.checked(scope.operating_point))
    predictions, readings, answers, pointing, judged = _predict(predictor, manifest, known, asked, on_progress)
    films = known[judged]
    patients = predictions.patient_groups or patients_of(films)
    return Judgement(
        card=card,
        points=points,
        model=predictor.path,
        manifest=manifest,
        manifest_name=data.name,
        split=scope.split,
        predictions=predictions,
        readings=tuple(readings),
        asked=tuple(asked[row] for row in judged),
        films=films,
        columns={
            PATIENT: list(patients),
            **{column: _group_names(films, column) for column in dict.fromkeys((*SUBGROUPS, *scope.by))},
        },
        pointing=tuple(pointing),
        found=None if card.boxes is None else tuple(map(_detections, answers)),
        caveats=cautions,
        seen=dict(seen),
        unlabeled=rows.height - known.height,
    )


def with_digests(manifest: Manifest, rows: pl.DataFrame) -> pl.DataFrame:
    """The digests of files that were never scanned, filled in: training films are known by them."""

    def digest(path: str) -> str | None:
        try:
            return file_digest(manifest.path(path))
        except OSError:
            return None  # the Predictor says why

    filled = [known or digest(path) for path, known in rows.select("path", "file_digest").iter_rows()]
    return rows.with_columns(pl.Series("file_digest", filled, pl.String))


def with_truth(card: Card, rows: pl.DataFrame) -> pl.DataFrame:
    """The films whose truth is known, with `truth`, `target` and `may_be`.

    The manifest's `pneumonia` is believed first; where it is silent, the classes that the recipe puts the label in.
    Those are in `may_be`; a label that stands for several of them has no target.
    """
    named = card.recipe.get("classes") or {name: [name] for name in card.classes}
    may_be = [
        [number for number, name in enumerate(card.classes) if label == name or label in named.get(name, ())]
        for label in rows["label"].to_list()
    ]
    sides = [{card.classes[number] in card.positive for number in numbers} for numbers in may_be]
    truths = [
        stated if stated is not None else next(iter(side)) if len(side) == 1 else False if label == NOT_NORMAL else None
        for stated, side, label in zip(rows["pneumonia"].to_list(), sides, rows["label"].to_list(), strict=True)
    ]
    known = rows.with_columns(
        pl.Series("truth", truths, pl.Boolean),
        pl.Series("target", [numbers[0] if len(numbers) == 1 else -1 for numbers in may_be], pl.Int64),
        pl.Series("may_be", may_be, pl.List(pl.Int64)),
    )
    return known.filter(pl.col("truth").is_not_null())


def _disagreement(card: Card, known: pl.DataFrame) -> list[str]:
    positive = [number for number, name in enumerate(card.classes) if name in card.positive]
    by_class = known.filter(pl.col("target") >= 0)
    apart = by_class.filter(pl.col("target").is_in(positive) != pl.col("truth")).height
    if not apart:
        return []
    return [
        f"For {counted(apart, 'film')} the manifest's column pneumonia and the model's classes disagree on what the "
        "label means; the manifest is believed."
    ]


def _group_names(films: pl.DataFrame, column: str) -> list[str | None]:
    values = films[column].to_list()
    if column == "age":
        return [age_band(value) for value in values]
    return [None if value is None else str(value) for value in values]


def _predict(
    predictor: Predictor,
    manifest: Manifest,
    films: pl.DataFrame,
    asked: list[Asked],
    on_progress: Callable[[int, int], None] | None,
) -> tuple[Predictions, list[Reading], list[Answered], list[Pointing], list[int]]:
    """What the model sees and says of each film, the heatmaps beside their boxes, and which rows could be judged."""
    relative = films["path"].to_list()
    boxes = films["boxes"].to_list()
    judged: list[int] = []
    readings: list[Reading] = []
    answers: list[Answered] = []
    pointing: list[Pointing] = []
    failures: list[Failure] = []
    for row, reading in enumerate(predictor.readings(manifest.path(path) for path in relative)):
        answer = predictor.decide(reading, asked[row])
        if isinstance(answer, Failed):
            failures.append(Failure(relative[row], films["file_digest"][row] or "", answer.error))
        elif isinstance(reading, Reading) and isinstance(answer, Answered):
            judged.append(row)
            readings.append(reading)
            answers.append(answer)
            if boxes[row] and (pointed := _point(answer, boxes[row])):
                pointing.append(pointed)
        if on_progress:
            on_progress(row + 1, films.height)
    if not judged:
        raise EvaluationError(f"none of the {films.height:,} films could be read; the first: {failures[0].error}")
    kept = films[judged]
    # Whoever gets predictions.csv can tell patients apart and not who they are.
    patients = {patient: number for number, patient in enumerate(sorted(set(manifest.table["patient"])), start=1)}
    predictions = Predictions(
        name=predictor.path.stem,
        classes=tuple(predictor.card.classes),
        thresholds=np.array([answer.threshold for answer in answers], np.float64),
        paths=tuple(kept["path"]),
        digests=tuple(digest or "" for digest in kept["file_digest"]),
        patients=np.array([patients[patient] for patient in kept["patient"]], np.int64),
        labels=tuple(label or "" for label in kept["label"]),
        truth=kept["truth"].to_numpy().astype(np.bool_),
        targets=kept["target"].to_numpy().astype(np.int64),
        probability=np.array([answer.probability for answer in answers], np.float64),
        class_probabilities=np.array(
            [class_probabilities(*both) for both in zip(readings, (a.patient_group for a in answers), strict=True)]
        ),
        gate=tuple(reading.gate.reason or PASSED for reading in readings),
        patient_groups=tuple(answer.patient_group.name for answer in answers if answer.patient_group is not None),
        failures=tuple(failures),
    )
    return predictions, readings, answers, pointing, judged


def _asked(card: Card, films: pl.DataFrame, operating_point: str) -> list[Asked]:
    """What to ask of each film: as a user would who knows whose it is, where the manifest does.

    Figures without the gate need the probability of a film that it turns away, too.
    """
    return [
        Asked(
            operating_point=operating_point,
            gate=False,
            box_threshold=None if card.boxes is None else 0.0,
            patient=patient if card.groups else None,
        )
        for patient in patients_of(films)
    ]


def _detections(answer: Answered) -> Detections:
    boxes = np.array([box[:4] for box in answer.boxes], np.float64).reshape(-1, 4)
    return Detections(boxes, np.array([box.score for box in answer.boxes], np.float64))


def _point(answer: Answered, boxes: list[list[float]]) -> Pointing | None:
    if answer.heatmap is None:
        return None
    seen: Any = answer.geometry.boxes_to_result(np.array(boxes, np.float64), answer.height, answer.width)
    return point(answer.heatmap, seen)
