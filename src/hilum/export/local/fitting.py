"""Line and thresholds for films of one's own, and what they are worth on films that had no part in them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hilum.bundle.card import OperatingPoint
from hilum.export.calibrate import FOLDS, Goals, choose_points
from hilum.export.local.line import Line, Sample, fit_line, patient_folds
from hilum.measures.bootstrap import Measure, Resampling, Weights, bootstrap, shares, total_measure
from hilum.measures.figure import Bools, Figure, Floats
from hilum.measures.films.calibration import BINS, CLIP, calibration
from hilum.measures.films.excess import worth
from hilum.measures.intervals import percentiles, wilson

Ends = tuple[float, float]


class Fit(NamedTuple):
    """What films of one's own make of a bundle, for all films or for those of one group of patients."""

    line: Line
    points: list[OperatingPoint]


class Answers(NamedTuple):
    """What is said of films: the probability, and at each operating point whether it is pneumonia."""

    probability: Floats
    called: dict[str, Bools]


class Change(NamedTuple):
    """A figure before and after on the same films; `gain` is the 95% interval of what was gained, over patients.

    `point` is the operating point of a sensitivity or a specificity, empty for figures of probabilities.
    """

    name: str
    point: str
    before: Figure
    after: Figure
    gain: Ends | None


def fit(films: Sample, goals: Goals, seed: int) -> Fit:
    """However few the films: whether they are enough is asked elsewhere."""
    line = fit_line(films, seed)
    return Fit(line, choose_points(line.chances(films.odds), films.truth, goals))


def as_given(films: Sample, points: Sequence[OperatingPoint]) -> Answers:
    """What a bundle says as it is."""
    probability = Line(1.0, 0.0, "offset").chances(films.odds)
    return Answers(probability, {point.name: probability >= point.threshold for point in points})


def applied(films: Sample, fitted: Fit) -> Answers:
    """What it says once fitted."""
    probability = fitted.line.chances(films.odds)
    return Answers(probability, {point.name: probability >= point.threshold for point in fitted.points})


def left_out(films: Sample, goals: Goals, seed: int) -> Answers:
    """What is said of each film by a fit to films of other patients."""
    folds = patient_folds(films, seed)
    probability = np.empty(len(films.odds))
    called: dict[str, Bools] = {}
    for fold in range(FOLDS):
        inside = folds == fold
        if not inside.any():
            continue
        fitted = fit(films.take(~inside), goals, seed)
        answers = applied(films.take(inside), fitted)
        probability[inside] = answers.probability
        for name, decisions in answers.called.items():
            called.setdefault(name, np.zeros(len(films.odds), np.bool_))[inside] = decisions
    return Answers(probability, called)


def changes(before: Answers, after: Answers, films: Sample, resampling: Resampling) -> list[Change]:
    """Every figure before and after, with intervals over patients."""
    names = [name for name in after.called if name in before.called]
    measures: list[Measure] = [total_measure(np.ones(len(films.truth), np.bool_))]
    measures += [total_measure(films.truth), total_measure(~films.truth)]
    for answers in (before, after):
        measures += [_sum_measure(_losses(answers.probability, films.truth)), _ece_measure(answers.probability, films)]
        for name in names:
            called = answers.called[name]
            measures += [total_measure(called & films.truth), total_measure(~called & ~films.truth)]
    drawn = bootstrap(films.patients, measures, resampling)
    whole, sick, healthy = drawn[:, 0], drawn[:, 1], drawn[:, 2]
    of = [whole, whole, *[sick, healthy] * len(names)]
    olds, news = np.split(drawn[:, 3:], 2, axis=1)
    was, now = (calibration(answers.probability, films.truth) for answers in (before, after))
    made = []
    for place, (name, old, new) in enumerate((("log_loss", was.log_loss, now.log_loss), ("ece", was.ece, now.ece))):
        again = [shares(each[:, place], of[place]) for each in (olds, news)]
        ends = [percentiles(each) or (None, None) for each in again]
        figures = [Figure(value, *end) for value, end in zip((old, new), ends, strict=True)]
        made.append(Change(name, "", figures[0], figures[1], percentiles(again[1] - again[0])))
    for number, name in enumerate(names):
        for figure, sick_ones, place in (("sensitivity", True, 2 + 2 * number), ("specificity", False, 3 + 2 * number)):
            gain = percentiles(shares(news[:, place], of[place]) - shares(olds[:, place], of[place]))
            was_of, is_of = (share_of(each.called[name] == sick_ones, films, sick_ones) for each in (before, after))
            made.append(Change(figure, name, was_of, is_of, gain))
    return made


def share_of(right: Bools, films: Sample, sick: bool) -> Figure:
    """How many of the films with pneumonia, or without, are called so; several films of a patient count for less."""
    of_kind = films.truth == sick
    hits, of = int(right[of_kind].sum()), int(of_kind.sum())
    alone = worth(right[of_kind], films.patients[of_kind])
    low, high = wilson(hits / of * alone, alone)
    return Figure(hits / of, low, high, hits=hits, of=of)


def _losses(probability: Floats, truth: Bools) -> Floats:
    p = np.clip(probability, CLIP, 1 - CLIP)
    return -np.log(np.where(truth, p, 1 - p))


def _sum_measure(values: Floats) -> Measure:
    def measure(weights: Weights) -> Floats:
        total: Floats = weights @ values
        return total

    return measure


def _ece_measure(probability: Floats, films: Sample) -> Measure:
    """The sum over bins of how far predicted and observed lie apart, as films."""
    bins = np.minimum((probability * BINS).astype(np.int64), BINS - 1)
    apart = np.zeros((len(bins), BINS))
    apart[np.arange(len(bins)), bins] = probability - films.truth

    def measure(weights: Weights) -> Floats:
        total: Floats = np.abs(weights @ apart).sum(1)
        return total

    return measure
