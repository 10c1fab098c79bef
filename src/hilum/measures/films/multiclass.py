"""More than pneumonia or not: how well each class is told from the others."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.bootstrap import (
    USUAL,
    Resampling,
    auroc_measure,
    bootstrap,
    shares,
    total_measure,
    with_interval,
)
from hilum.measures.figure import EvaluationError, Figure, Floats, Ints
from hilum.measures.intervals import percentiles, share


@dataclass(frozen=True, slots=True, eq=False)
class ByClass:
    """`confusion` has a row for each true class and a column for each called one. `overall` holds the macro figures:
    means over the classes that occur."""

    classes: tuple[str, ...]
    confusion: Ints
    overall: dict[str, Figure]
    of_class: dict[str, dict[str, Figure]]


def by_class(
    probabilities: ArrayLike,
    targets: ArrayLike,
    classes: tuple[str, ...],
    patients: ArrayLike,
    resampling: Resampling = USUAL,
) -> ByClass:
    """`probabilities` are (films, classes), `targets` class numbers; the class called is the most probable."""
    p, t = np.asarray(probabilities, np.float64), np.asarray(targets, np.int64)
    _check(p, t, len(classes))
    called = p.argmax(1)
    numbers = range(len(classes))
    confusion = np.array([[((t == true) & (called == other)).sum() for other in numbers] for true in numbers], np.int64)
    measures = [
        measure
        for number in numbers
        for measure in (
            auroc_measure(p[:, number], t == number),
            total_measure((t == number) & (called == number)),
            total_measure(t == number),
            total_measure(called == number),
        )
    ]
    once = np.array([measure(np.ones((1, len(t)))) for measure in measures]).T
    drawn = bootstrap(patients, measures, resampling)
    of_class: dict[str, dict[str, Figure]] = {}
    for number, name in enumerate(classes):
        absent, uncalled = f"no film is {name}", f"no film was called {name}"
        aurocs, right, true, called_so = drawn[:, 4 * number : 4 * number + 4].T
        hits, films, calls = (int(value) for value in once[0, 4 * number + 1 : 4 * number + 4])
        f1 = 2 * hits / (films + calls) if films + calls else np.nan
        of_class[name] = {
            "auroc": with_interval(float(once[0, 4 * number]), aurocs, absent if not films else "no film is another"),
            "recall": share(hits, films, absent, percentiles(shares(right, true))),
            "precision": share(hits, calls, uncalled, percentiles(shares(right, called_so))),
            "f1": with_interval(float(f1), shares(2 * right, true + called_so), absent),
        }
    of_everything = partial(_overall, there=np.unique(t))
    values, resampled = of_everything(once), of_everything(drawn)
    right_ones = int(confusion.trace())
    overall = {
        "accuracy": share(right_ones, len(t), "", percentiles(resampled["accuracy"])),
        **{
            name: with_interval(float(values[name][0]), resampled[name], "films of several classes are needed")
            for name in ("balanced_accuracy", "macro_precision", "macro_f1", "macro_auroc")
        },
    }
    return ByClass(classes, confusion, overall, of_class)


def _overall(drawn: Floats, there: Ints) -> dict[str, Floats]:
    """The means over the classes that are `there`, of each resample; one in which one of them is absent has none."""
    accuracy = drawn[:, 1::4].sum(1) / drawn[:, 2::4].sum(1)
    aurocs, right, true, called = (drawn[:, start::4][:, there] for start in range(4))
    if len(there) < 2:
        true = np.full_like(true, np.nan)
    # A class that is never called has no right calls among its calls: precision 0, as is the custom in a mean.
    precision = np.where((called == 0) & (true > 0), 0.0, shares(right, called))
    return {
        "accuracy": accuracy,
        "balanced_accuracy": shares(right, true).mean(1),
        "macro_precision": np.where((true > 0).all(1), precision.mean(1), np.nan),
        "macro_f1": np.where((true > 0).all(1), shares(2 * right, true + called).mean(1), np.nan),
        "macro_auroc": aurocs.mean(1),
    }


def _check(p: Floats, t: Ints, classes: int) -> None:
    if p.ndim != 2 or p.shape != (len(t), classes):
        raise EvaluationError(f"{p.shape} probabilities do not go with {len(t)} films of {classes} classes")
    if not len(t):
        raise EvaluationError("there is not one film to judge on")
    if wrong := int((~((p >= 0) & (p <= 1))).any(1).sum()):
        raise EvaluationError(f"{wrong:,} of {len(t):,} films have probabilities that are no numbers from 0 to 1")
    if not ((t >= 0) & (t < classes)).all():
        raise EvaluationError("a film is of none of the classes; leave it out")
