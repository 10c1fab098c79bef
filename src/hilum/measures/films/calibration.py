"""Whether a probability means what it says: of the films at 70%, do 70% show pneumonia?"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.figure import WALD, Bools, Figure, Floats, checked
from hilum.measures.intervals import Z, wilson

BINS = 15
MOST_GROUPS, FEWEST_IN_A_GROUP = 10, 20  # of a reliability diagram: in groups of five films, chance is all one sees
CLIP = 1e-6  # probabilities are taken as no closer to 0 or 1 where a logarithm is taken of them


class Bin(NamedTuple):
    """Films of nearly the same probability; `low` and `high` are Wilson's interval of the share that is sick."""

    predicted: float
    observed: float
    films: int
    low: float
    high: float


class Reliability(NamedTuple):
    """`ece` is over 15 bins of equal width, `adaptive_ece` over 15 of equally many films."""

    brier: float
    log_loss: float
    ece: float
    adaptive_ece: float
    slope: Figure
    intercept: Figure
    in_the_large: Figure
    bins: list[Bin]  # of equally many films, for a reliability diagram

    def figures(self) -> dict[str, Figure]:
        """All but the bins, by name; those without an interval as figures of their own value alone."""
        plain = {name: Figure(getattr(self, name)) for name in ("brier", "log_loss", "ece", "adaptive_ece")}
        return {**plain, "slope": self.slope, "intercept": self.intercept, "in_the_large": self.in_the_large}


def calibration(probability: ArrayLike, truth: ArrayLike) -> Reliability:
    """Everything that is stated of how far probabilities can be taken at their word."""
    p, t = checked(probability, truth)
    slope, intercept = slope_and_intercept(p, t)
    return Reliability(
        brier=float(((p - t) ** 2).mean()),
        log_loss=log_loss(p, t),
        ece=expected_error(bins_of_equal_width(p, t)),
        adaptive_ece=expected_error(bins_of_equal_count(p, t)),
        slope=slope,
        intercept=intercept,
        in_the_large=in_the_large(p, t),
        bins=bins_of_equal_count(p, t, min(MOST_GROUPS, max(len(p) // FEWEST_IN_A_GROUP, 1))),
    )


def logit(p: Floats) -> Floats:
    """Log odds, finite for sure answers as well."""
    p = np.clip(p, CLIP, 1 - CLIP)
    return np.log(p) - np.log1p(-p)


def log_loss(probability: ArrayLike, truth: ArrayLike) -> float:
    """The mean surprise, in nats; an answer that is sure and wrong counts for much, but not for all."""
    p, t = checked(probability, truth)
    p = np.clip(p, CLIP, 1 - CLIP)
    return float(-np.log(np.where(t, p, 1 - p)).mean())


def bins_of_equal_width(probability: ArrayLike, truth: ArrayLike, bins: int = BINS) -> list[Bin]:
    """0 to 1/15, 1/15 to 2/15, ...; a probability on an edge belongs above it. Empty bins are left out."""
    p, t = checked(probability, truth)
    place = np.minimum((p * bins).astype(np.int64), bins - 1)
    return [_bin(p, t, place == number) for number in np.unique(place)]


def bins_of_equal_count(probability: ArrayLike, truth: ArrayLike, bins: int = BINS) -> list[Bin]:
    """Films by rank of probability; those with the same one stay together, so a bin may hold more."""
    p, t = checked(probability, truth)
    ordered = np.sort(p)
    # Each film's place is that of the first film with its probability.
    place = np.searchsorted(ordered, p, "left") * bins // len(p)
    return [_bin(p, t, place == number) for number in np.unique(place)]


def _bin(p: Floats, t: Bools, members: Bools) -> Bin:
    films, sick = int(members.sum()), int(t[members].sum())
    return Bin(float(p[members].mean()), sick / films, films, *wilson(sick, films))


def expected_error(bins: list[Bin]) -> float:
    """ECE: the gap between predicted and observed, averaged over films."""
    films = sum(each.films for each in bins)
    return sum(each.films * abs(each.predicted - each.observed) for each in bins) / films


def slope_and_intercept(probability: ArrayLike, truth: ArrayLike) -> tuple[Figure, Figure]:
    """Logistic regression of the truth on the logit of the probability; 1 and 0 where calibrated.

    A slope under 1 says that probabilities are too extreme.
    """
    p, t = checked(probability, truth)
    score = logit(p)
    if why := _not_fitted(score, t):
        return Figure(None, why=why), Figure(None, why=why)
    design = np.column_stack([np.ones(len(t)), score])
    fitted, errors = fit_logistic(design, t.astype(np.float64), np.zeros(len(t)))
    intercept, slope = (
        Figure(float(b), float(b - Z * e), float(b + Z * e), WALD) for b, e in zip(fitted, errors, strict=True)
    )
    return slope, intercept


def in_the_large(probability: ArrayLike, truth: ArrayLike) -> Figure:
    """How far all log odds are too low (above 0) or too high (below 0), the slope held at 1."""
    p, t = checked(probability, truth)
    if t.all() or not t.any():
        return Figure(None, why="all films are of one class")
    fitted, errors = fit_logistic(np.ones((len(t), 1)), t.astype(np.float64), logit(p))
    value, error = float(fitted[0]), float(errors[0])
    return Figure(value, value - Z * error, value + Z * error, WALD)


def _not_fitted(score: Floats, t: Bools) -> str:
    """Why the likelihood has no single highest place, if it has none: Newton's steps would wander off."""
    if t.all() or not t.any():
        return "all films are of one class"
    if np.ptp(score) == 0:
        return "all films have the same probability"
    if score[t].min() >= score[~t].max() or score[t].max() <= score[~t].min():
        return "the classes do not overlap, so no slope is steep enough"
    return ""


def fit_logistic(design: Floats, wanted: Floats, offset: Floats) -> tuple[Floats, Floats]:
    """Maximum likelihood by Newton's steps, halved where they overshoot; the coefficients and their errors.

    `wanted` are truths, or chances between 0 and 1; `offset` is added to the score of each film.
    """

    def loss(b: Floats) -> float:
        score = design @ b + offset
        return float((np.logaddexp(0, score) - wanted * score).sum())

    fitted = np.zeros(design.shape[1])
    for _ in range(100):
        chance = 1 / (1 + np.exp(-np.clip(design @ fitted + offset, -500, 500)))
        information = design.T @ (design * (chance * (1 - chance))[:, None])
        step = np.linalg.lstsq(information, design.T @ (wanted - chance), rcond=None)[0]
        size = 1.0
        while size > 1e-6 and loss(fitted + size * step) > loss(fitted):
            size /= 2
        fitted = fitted + size * step
        if np.abs(size * step).max() < 1e-10:
            break
    chance = 1 / (1 + np.exp(-np.clip(design @ fitted + offset, -500, 500)))
    information = design.T @ (design * (chance * (1 - chance))[:, None])
    return fitted, np.sqrt(np.diag(np.linalg.pinv(information)))
