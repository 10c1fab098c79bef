"""Models side by side on the same films, and whether they differ by more than chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from hilum.dataset.audit.finding import counted
from hilum.evaluation.predictions import Predictions
from hilum.measures.bootstrap import USUAL, Resampling, auroc_measure, bootstrap, total_measure, with_interval
from hilum.measures.delong import DeLong, delong
from hilum.measures.figure import EvaluationError, Figure, Floats
from hilum.measures.films.binary import (
    ONE_CLASS,
    Counts,
    accuracy,
    auroc,
    binary_figures,
    count,
    sensitivity,
    specificity,
)
from hilum.measures.films.calibration import Reliability, calibration
from hilum.measures.mcnemar import McNemar, mcnemar

ALONE = "one model alone has nothing to be compared with; name two or more"
RATES = {"sensitivity": sensitivity, "specificity": specificity, "accuracy": accuracy}


@dataclass(frozen=True, slots=True, eq=False)
class Difference:
    """A model less the first: figures with the paired bootstrap over patients, and the tests. `why_no_delong` where
    that cannot be done."""

    first: str
    second: str
    figures: dict[str, Figure]
    delong: DeLong | None
    why_no_delong: str
    mcnemar: McNemar


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """`figures` and `calibrations` go with `models`; `notes` say which films were left out."""

    models: list[Predictions]
    figures: list[dict[str, Figure]]
    calibrations: list[Reliability]
    differences: list[Difference]
    notes: list[str]
    resamples: int
    seed: int


def match(models: Sequence[Predictions]) -> tuple[list[Predictions], list[str]]:
    """The films that all models judged, in one order, known by the digests of their files; and what was left out."""
    if len(models) < 2:
        raise EvaluationError(ALONE)
    rows = [_rows(model) for model in models]
    together = sorted(set.intersection(*(set(each) for each in rows)))
    if not together:
        raise EvaluationError("the models have no film in common; compare predictions of the same split")
    aligned = [
        model.take(np.array([each[film] for film in together], np.int64))
        for model, each in zip(models, rows, strict=True)
    ]
    for model in aligned[1:]:
        if apart := int((model.truth != aligned[0].truth).sum()):
            raise EvaluationError(
                f"{aligned[0].name} and {model.name} state another truth for {counted(apart, 'film')}; judge both by "
                "the same manifest"
            )
    notes = [
        f"{counted(len(model) - len(together), 'film')} of {model.name} left out: not judged by all models."
        for model in models
        if len(model) > len(together)
    ]
    # Patients are numbers of no meaning beyond one manifest: one model's serve for all.
    return [replace(model, patients=aligned[0].patients) for model in aligned], notes


def _rows(model: Predictions) -> dict[tuple[str, int], int]:
    """Where each film stands: by its digest and, since data sets hold copies, which of those it is."""
    seen: Counter[str] = Counter()
    rows: dict[tuple[str, int], int] = {}
    for row, digest in enumerate(model.digests):
        rows[digest, seen[digest]] = row
        seen[digest] += 1
    return rows


def compare_predictions(models: Sequence[Predictions], resampling: Resampling = USUAL) -> Comparison:
    """Each model against the first, decisions by threshold alone: what a gate turns away is judged as well."""
    aligned, notes = match(models)
    return Comparison(
        aligned,
        [binary_figures(m.probability, m.truth, m.called, m.patients, resampling) for m in aligned],
        [calibration(m.probability, m.truth) for m in aligned],
        [_difference(aligned[0], model, resampling) for model in aligned[1:]],
        notes,
        *resampling,
    )


def _difference(first: Predictions, second: Predictions, resampling: Resampling) -> Difference:
    truth = first.truth
    measures = []
    for model in (first, second):
        called = model.called
        kinds = (truth & called, ~truth & called, truth & ~called, ~truth & ~called)
        measures += [auroc_measure(model.probability, truth), *map(total_measure, kinds)]
    # All measures of both models in one call: they see the same resamples, so what films have in common cancels out.
    drawn = bootstrap(first.patients, measures, resampling)
    once = auroc(second.probability, truth) - auroc(first.probability, truth)
    figures = {"auroc": with_interval(once, drawn[:, 5] - drawn[:, 0], ONE_CLASS)}
    counts = [count(truth, model.called) for model in (first, second)]
    again = [Counts(*drawn[:, 1:5].T), Counts(*drawn[:, 6:10].T)]
    for name, rate in RATES.items():
        apart: Floats = rate(again[1]) - rate(again[0])
        figures[name] = with_interval(float(rate(counts[1]) - rate(counts[0])), apart, ONE_CLASS)
    tested, why = None, ""
    try:
        tested = delong(first.probability, second.probability, truth)
    except EvaluationError as error:
        why = str(error)
    right = [model.called == truth for model in (first, second)]
    return Difference(first.name, second.name, figures, tested, why, mcnemar(*right))
