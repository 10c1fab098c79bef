"""Pneumonia or not: what can be said of decisions at one threshold, and of probabilities at all of them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.bootstrap import (
    USUAL,
    Resampling,
    auroc_measure,
    average_precision_measure,
    bootstrap,
    shares,
    total_measure,
    with_interval,
)
from hilum.measures.figure import WILSON, Bools, EvaluationError, Figure, Floats, checked
from hilum.measures.intervals import known, percentiles, ratio, share

PREVALENCES = (0.01, 0.1, 0.3)
ONE_CLASS = "all films are of one class"


class Counts(NamedTuple):
    """Films by truth and decision; arrays of them are counts of many resamples or thresholds."""

    true_positives: Floats
    false_positives: Floats
    false_negatives: Floats
    true_negatives: Floats

    @property
    def sick(self) -> Floats:
        """Films with pneumonia."""
        return self.true_positives + self.false_negatives

    @property
    def healthy(self) -> Floats:
        """Films without pneumonia."""
        return self.true_negatives + self.false_positives

    @property
    def films(self) -> Floats:
        """All of them."""
        return self.sick + self.healthy


class Curve(NamedTuple):
    """Counts at each threshold, from the highest down; the first calls no film sick, the last calls all."""

    thresholds: Floats
    counts: Counts

    @property
    def sensitivity(self) -> Floats:
        """At each threshold; it rises from 0 to 1."""
        return sensitivity(self.counts)

    @property
    def specificity(self) -> Floats:
        """At each threshold; it falls from 1 to 0."""
        return specificity(self.counts)

    @property
    def precision(self) -> Floats:
        """1 where nothing is called sick, as is the custom for drawing."""
        return np.nan_to_num(ppv(self.counts), nan=1.0)


# Each of these takes counts of one set of decisions or of many at once, and is NaN where it is not defined: a figure
# that cannot be measured is neither 0 nor 0.5.


def sensitivity(c: Counts) -> Floats:
    """The share of the sick that was called so; recall."""
    return shares(c.true_positives, c.sick)


def specificity(c: Counts) -> Floats:
    """The share of the healthy that was not called sick."""
    return shares(c.true_negatives, c.healthy)


def ppv(c: Counts) -> Floats:
    """The share of those called sick that is sick; precision."""
    return shares(c.true_positives, c.true_positives + c.false_positives)


def npv(c: Counts) -> Floats:
    """The share of those not called sick that is healthy."""
    return shares(c.true_negatives, c.true_negatives + c.false_negatives)


def accuracy(c: Counts) -> Floats:
    """The share of right decisions. It hangs on how many films are sick, so it compares nothing across data sets."""
    return shares(c.true_positives + c.true_negatives, c.films)


def balanced_accuracy(c: Counts) -> Floats:
    """The mean of sensitivity and specificity: 0.5 for any decision that does not look at the film."""
    return (sensitivity(c) + specificity(c)) / 2


def f1(c: Counts) -> Floats:
    """The harmonic mean of sensitivity and PPV."""
    return shares(2 * c.true_positives, 2 * c.true_positives + c.false_positives + c.false_negatives)


def mcc(c: Counts) -> Floats:
    """Matthews' correlation of truth and decision, from -1 to 1."""
    tp, fp, fn, tn = c
    return shares(tp * tn - fp * fn, np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)))


def ppv_at(c: Counts, prevalence: float) -> Floats:
    """The share of the called that is sick, where this share of all films is."""
    sick = sensitivity(c) * prevalence
    return shares(sick, sick + (1 - specificity(c)) * (1 - prevalence))


def npv_at(c: Counts, prevalence: float) -> Floats:
    """The share of those not called sick that is healthy, where this share of all films is sick."""
    healthy = specificity(c) * (1 - prevalence)
    return shares(healthy, healthy + (1 - sensitivity(c)) * prevalence)


def count(truth: Bools, decision: Bools) -> Counts:
    """The four kinds of films, of one set of decisions."""
    kinds = (truth & decision, ~truth & decision, truth & ~decision, ~truth & ~decision)
    return Counts(*(np.array(float(kind.sum())) for kind in kinds))


def curve(probability: ArrayLike, truth: ArrayLike) -> Curve:
    """Decisions at every probability that occurs, as thresholds; films with the same one change sides together."""
    p, t = checked(probability, truth)
    order = np.argsort(-p, kind="stable")
    # No threshold parts films of one probability: a curve through them one by one would depend on their order.
    last = np.flatnonzero(np.append(np.diff(p[order]) != 0, True))
    tp = np.append(0.0, np.cumsum(t[order])[last])
    fp = np.append(0.0, last + 1) - tp
    sick = float(t.sum())
    return Curve(np.append(np.inf, p[order][last]), Counts(tp, fp, sick - tp, len(t) - sick - fp))


def auroc(probability: ArrayLike, truth: ArrayLike) -> float:
    """NaN where all films are of one class."""
    p, t = checked(probability, truth)
    return float(auroc_measure(p, t)(np.ones((1, len(p))))[0])


def average_precision(probability: ArrayLike, truth: ArrayLike) -> float:
    """NaN where no film is sick."""
    p, t = checked(probability, truth)
    return float(average_precision_measure(p, t)(np.ones((1, len(p))))[0])


# What is a share of films: which films count, out of which, and why there may be none.
SHARES: dict[str, tuple[Callable[[Counts], Floats], Callable[[Counts], tuple[Floats, Floats]], str]] = {
    "sensitivity": (sensitivity, lambda c: (c.true_positives, c.sick), "no film shows pneumonia"),
    "specificity": (specificity, lambda c: (c.true_negatives, c.healthy), "every film shows pneumonia"),
    "ppv": (
        ppv,
        lambda c: (c.true_positives, c.true_positives + c.false_positives),
        "no film was called pneumonia",
    ),
    "npv": (
        npv,
        lambda c: (c.true_negatives, c.true_negatives + c.false_negatives),
        "every film was called pneumonia",
    ),
    "accuracy": (accuracy, lambda c: (c.true_positives + c.true_negatives, c.films), ""),
}
OTHERS: dict[str, tuple[Callable[[Counts], Floats], str]] = {
    "balanced_accuracy": (balanced_accuracy, ONE_CLASS),
    "f1": (f1, "no film shows pneumonia and none was called so"),
    "mcc": (mcc, "all films are of one class, or got the same decision"),
}


def binary_figures(
    probability: ArrayLike,
    truth: ArrayLike,
    decision: ArrayLike,
    patients: ArrayLike,
    resampling: Resampling = USUAL,
) -> dict[str, Figure]:
    """Every binary figure by name. Decisions were taken beforehand; no threshold is chosen here."""
    p, t = checked(probability, truth)
    d = np.asarray(decision).astype(np.bool_)
    if d.shape != t.shape or np.shape(patients) != t.shape:
        raise EvaluationError("give one decision and one patient for each film")
    kinds = (t & d, ~t & d, t & ~d, ~t & ~d)
    measures = [auroc_measure(p, t), average_precision_measure(p, t), *map(total_measure, kinds)]
    drawn = bootstrap(patients, measures, resampling)
    once, again = count(t, d), Counts(*drawn[:, 2:].T)
    figures = {
        "auroc": with_interval(auroc(p, t), drawn[:, 0], ONE_CLASS),
        "average_precision": with_interval(average_precision(p, t), drawn[:, 1], "no film shows pneumonia"),
    }
    for name, (rate, counted, why) in SHARES.items():
        hits, of = counted(once)
        figures[name] = share(int(hits), int(of), why, percentiles(rate(again)))
    for name, (measure, why) in OTHERS.items():
        figures[name] = with_interval(float(measure(once)), measure(again), why)
    return figures | at_prevalences(once)


def at_prevalences(c: Counts) -> dict[str, Figure]:
    """PPV and NPV where pneumonia is rarer than among these films.

    Both follow from one ratio each: of false alarms to finds, and of misses to clearances. Their intervals come from
    Wilson's, for a bootstrap of films without a false alarm would be sure that there never is one.
    """
    tp, fp, fn, tn = (int(number) for number in c)
    none = ONE_CLASS if 0 in (tp + fn, fp + tn) else "no film was called so"
    figures = {}
    for prevalence in PREVALENCES:
        for name, at, wrong, right, odds in (
            ("ppv", ppv_at, (fp, fp + tn), (tp, tp + fn), (1 - prevalence) / prevalence),
            ("npv", npv_at, (fn, tp + fn), (tn, fp + tn), prevalence / (1 - prevalence)),
        ):
            value = float(at(c, prevalence))
            if math.isnan(value):
                figures[f"{name}_at_{prevalence:.0%}"] = Figure(None, why=none)
                continue
            low, high = (1 / (1 + odds * end) for end in reversed(ratio(known(*wrong), known(*right))))
            figures[f"{name}_at_{prevalence:.0%}"] = Figure(value, low, high, WILSON)
    return figures
