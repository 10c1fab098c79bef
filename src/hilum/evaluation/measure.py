"""Everything that is measured on a Judgement, before anything is drawn or written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hilum.evaluation.before import before_calibration
from hilum.evaluation.journal.failures import Failures, failures
from hilum.evaluation.journal.precision import Reach, reach
from hilum.evaluation.judge import PATIENT, Judgement
from hilum.evaluation.lungs.measure import LungEvaluation, measure_lungs
from hilum.evaluation.measure_boxes import BoxEvaluation, measure_boxes
from hilum.evaluation.predictions import Predictions
from hilum.evaluation.readers.study import ReaderStudy
from hilum.evaluation.shortcut import Shortcut
from hilum.evaluation.subgroups import Subgroup, subgroups
from hilum.measures.bootstrap import USUAL, Resampling
from hilum.measures.figure import Figure, Ints
from hilum.measures.films.abstention import RiskCoverage, risk_coverage
from hilum.measures.films.binary import Curve, binary_figures, curve
from hilum.measures.films.calibration import Reliability, calibration
from hilum.measures.films.decision_curve import DecisionCurve, decision_curve
from hilum.measures.films.multiclass import ByClass, by_class
from hilum.measures.films.thresholds import (
    Fixed,
    Row,
    best_on_this_split,
    sensitivity_at_specificity,
    specificity_at_sensitivity,
    sweep,
)
from hilum.measures.intervals import share


@dataclass(frozen=True, slots=True, eq=False)
class Pointed:
    """How well heatmaps point to boxes. `area` is what a heatmap that knows nothing would get of both."""

    hits: Figure
    energy: float
    area: float


class Unsure(NamedTuple):
    """Films whose label stands for several classes, and how many of them were called each class of the bundle."""

    may_be: tuple[str, ...]
    films: int
    called: tuple[int, ...]
    right: int  # called one of those that they may be


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """`all` are the figures over all films that could be read, whatever the gate said; `passed` over those that it let
    through, None where it was not asked or let none through. `confusion`: rows are the truth (without, with), columns
    the decision."""

    judgement: Judgement
    all: dict[str, Figure]
    passed: dict[str, Figure] | None
    confusion: Ints
    roc: Curve
    after: Reliability
    before: Reliability | None
    why_no_before: str
    decision_curve: DecisionCurve
    risk_coverage: RiskCoverage
    sweep: list[Row]
    sensitivity_at: list[Fixed]
    specificity_at: list[Fixed]
    best: Row | None
    by_class: ByClass | None
    unsure: list[Unsure]
    subgroups: dict[str, list[Subgroup]]
    columns_alike: list[str]
    pointed: Pointed | None
    boxes: BoxEvaluation | None
    shortcut: Shortcut
    failures: Failures
    reach: list[Reach]
    resamples: int
    seed: int
    readers: ReaderStudy | None = None
    lungs: LungEvaluation | None = None


def measure(
    judgement: Judgement, shortcut: Shortcut, resampling: Resampling = USUAL, readers: ReaderStudy | None = None
) -> Evaluation:
    """All that is stated of the films judged. Nothing is chosen here, least of all a threshold."""
    films = judgement.predictions
    p, t = films.probability, films.truth
    before, why = before_calibration(judgement.card, p, films.class_probabilities, judgement.columns[PATIENT])
    groups = {column: subgroups(column, values, films, resampling) for column, values in judgement.columns.items()}
    figures = binary_figures(p, t, films.called, films.patients, resampling)
    return Evaluation(
        judgement=judgement,
        all=figures,
        passed=_passed(films, resampling),
        confusion=np.array(
            [
                [(~t & ~films.called).sum(), (~t & films.called).sum()],
                [(t & ~films.called).sum(), (t & films.called).sum()],
            ],
            np.int64,
        ),
        roc=curve(p, t),
        after=calibration(p, t),
        before=None if before is None else calibration(before, t),
        why_no_before=why,
        decision_curve=decision_curve(p, t),
        risk_coverage=risk_coverage(p, t, films.thresholds),
        sweep=sweep(p, t),
        sensitivity_at=sensitivity_at_specificity(p, t),
        specificity_at=specificity_at_sensitivity(p, t),
        best=best_on_this_split(p, t),
        by_class=_by_class(films, resampling),
        unsure=_unsure(judgement),
        subgroups={column: made for column, made in groups.items() if made},
        columns_alike=[column for column, made in groups.items() if not made],
        pointed=_pointed(judgement),
        boxes=measure_boxes(judgement, resampling),
        shortcut=shortcut,
        failures=failures(judgement, shortcut),
        reach=reach(figures, films),
        resamples=resampling.resamples,
        seed=resampling.seed,
        readers=readers,
        lungs=measure_lungs(judgement, resampling),
    )


def _passed(films: Predictions, resampling: Resampling) -> dict[str, Figure] | None:
    """None where the gate changes nothing that could be measured."""
    kept = films.take(np.flatnonzero(~films.turned_away))
    if len(kept) in (0, len(films)):
        return None
    return binary_figures(kept.probability, kept.truth, kept.called, kept.patients, resampling)


def _by_class(films: Predictions, resampling: Resampling) -> ByClass | None:
    """Only where there is more to tell than pneumonia or not."""
    known = films.take(np.flatnonzero(films.targets >= 0))
    if len(films.classes) < 3 or not len(known):
        return None
    return by_class(known.class_probabilities, known.targets, known.classes, known.patients, resampling)


def _unsure(judgement: Judgement) -> list[Unsure]:
    """Of bundles with more to tell than pneumonia or not; each set of classes that a label stands for."""
    classes, films = judgement.predictions.classes, judgement.predictions
    if len(classes) < 3:
        return []
    called = films.class_probabilities.argmax(1)
    sets = [tuple(numbers) for numbers in judgement.films["may_be"].to_list()]
    found = []
    for numbers in sorted({each for each in sets if len(each) > 1}):
        counts = np.bincount(called[[each == numbers for each in sets]], minlength=len(classes))
        names = tuple(classes[number] for number in numbers)
        found.append(Unsure(names, int(counts.sum()), tuple(counts.tolist()), int(counts[list(numbers)].sum())))
    return found


def _pointed(judgement: Judgement) -> Pointed | None:
    pointing = judgement.pointing
    if not pointing:
        return None
    return Pointed(
        share(sum(each.hit for each in pointing), len(pointing), ""),
        float(np.mean([each.energy for each in pointing])),
        float(np.mean([each.area for each in pointing])),
    )
