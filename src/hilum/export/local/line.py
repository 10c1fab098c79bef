"""The line that takes a bundle's log odds to those that hold on films of one's own.

An offset alone says that pneumonia is rarer or more frequent here; a slope as well, that the bundle is too sure or not
sure enough. One number is found by fewer films than two, so the slope is taken only where it is clearly better on films
that were left out. Both learn from Platt's targets instead of 0 and 1, as the calibration of an export does.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from hilum.export.calibrate import FOLDS, STANDARD_ERRORS, platt_targets
from hilum.measures.figure import Bools, Floats, Ints
from hilum.measures.films.calibration import fit_logistic

LEAST = 1e-12  # of a probability, so that the odds of a sure answer are numbers
Way = Literal["offset", "slope and offset"]


class Line(NamedTuple):
    """slope * log odds + offset."""

    slope: float
    offset: float
    way: Way

    def chances(self, odds: Floats) -> Floats:
        """The probabilities that come of log odds."""
        return np.asarray(1 / (1 + np.exp(-np.clip(self.slope * odds + self.offset, -500, 500))))

    def shares(self, probabilities: Floats, positive: Bools) -> Floats:
        """The probabilities of a film's classes after the line: the shares within each side stay."""
        inside, outside = (max(float(probabilities[side].sum()), LEAST) for side in (positive, ~positive))
        chance = float(self.chances(np.array([np.log(inside) - np.log(outside)]))[0])
        return np.where(positive, probabilities / inside * chance, probabilities / outside * (1 - chance))


class Sample(NamedTuple):
    """Films of known truth: the log odds that a bundle gives, what is true, and whose films they are."""

    odds: Floats
    truth: Bools
    patients: Ints

    def take(self, rows: Ints | Bools) -> Sample:
        """Some of the films."""
        return Sample(self.odds[rows], self.truth[rows], self.patients[rows])

    def patients_with(self, sick: bool) -> int:
        """Of how many patients there are films with pneumonia, or without."""
        return len(np.unique(self.patients[self.truth == sick]))


def fit_line(films: Sample, seed: int) -> Line:
    """The line for these films, of both kinds."""
    simple, full = fit_offset(films), fit_slope_and_offset(films)
    folds = patient_folds(films, seed)
    gain = _left_out(films, folds, "offset") - _left_out(films, folds, "slope and offset")
    clearly = gain.mean() > STANDARD_ERRORS * gain.std(ddof=1) / np.sqrt(len(gain))
    return full if clearly and full.slope > 0 else simple


def fit_offset(films: Sample) -> Line:
    """How much the log odds are too low."""
    (offset,), _ = fit_logistic(np.ones((len(films.odds), 1)), _wanted(films), films.odds)
    return Line(1.0, float(offset), "offset")


def fit_slope_and_offset(films: Sample) -> Line:
    """Platt's line."""
    design = np.column_stack([np.ones(len(films.odds)), films.odds])
    (offset, slope), _ = fit_logistic(design, _wanted(films), np.zeros(len(films.odds)))
    return Line(float(slope), float(offset), "slope and offset")


def patient_folds(films: Sample, seed: int) -> Ints:
    """The fold of every film; patients stay together, and those with pneumonia are spread evenly."""
    known, place = np.unique(films.patients, return_inverse=True)
    sick = np.bincount(place, films.truth, len(known)) > 0
    order = np.random.default_rng(seed).permutation(len(known))
    dealt = order[np.argsort(~sick[order], kind="stable")]
    folds = np.empty(len(known), np.int64)
    folds[dealt] = np.arange(len(known)) % FOLDS
    return folds[place]


def both_kinds(truth: Bools) -> bool:
    """Whether anything can be fitted to these films."""
    return bool(truth.any() and not truth.all())


def _left_out(films: Sample, folds: Ints, way: Way) -> Floats:
    """The log loss of each film by a line from the films of the other folds."""
    losses = np.zeros(len(films.odds))
    for fold in range(FOLDS):
        inside = folds == fold
        others = films.take(~inside)
        if not both_kinds(others.truth):
            continue  # too few patients to tell the ways apart by
        line = fit_offset(others) if way == "offset" else fit_slope_and_offset(others)
        score = line.slope * films.odds[inside] + line.offset
        losses[inside] = np.logaddexp(0, np.where(films.truth[inside], -score, score))
    return losses


def _wanted(films: Sample) -> Floats:
    return platt_targets(films.truth.astype(np.int64), 2)[:, 1]
