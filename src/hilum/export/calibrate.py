"""Calibration and operating points, from validation films. Used at export only.

Calibration turns what a network's logits say into a probability that can be taken at its word. There are three ways.
One temperature for all logits is the default: it has one parameter and leaves every ranking as it is. Platt's sigmoid
and isotonic regression act on the probability of the positive classes together; within the positive and within the
other classes the shares stay as the network gave them. They are taken only where they are clearly better on films they
were not fitted to.

All three learn from Platt's targets instead of 0 and 1, so no finite set of films makes a probability certain.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize, minimize_scalar
from scipy.special import expit, log_softmax, logit, logsumexp, softmax
from sklearn.isotonic import IsotonicRegression

from hilum.bundle.card import BundleError, Calibration, OperatingPoint
from hilum.measures.films.thresholds import FEWEST

Floats = NDArray[np.float64]
Fit = Callable[[Floats, NDArray[np.int64], Sequence[int]], Calibration]

FOLDS = 5
# Below this many films isotonic regression follows chance; scikit-learn's guide says the same.
FILMS_FOR_ISOTONIC = 1000
# Another way must beat the temperature by more than this many standard errors of the difference between the two.
STANDARD_ERRORS = 1.0
ECE_BINS = 15
GOAL = 0.95
# Scores nearer to each other than this are not told apart by a threshold: another machine may swap them.
NARROWEST = 1e-6


def calibrate(
    logits: NDArray[np.floating], targets: NDArray[np.integer], positive: Sequence[int], seed: int = 0
) -> Calibration:
    """The best way for these validation films, fitted to all of them.

    The figures `..._after` are those of films left out of the fit, five times over, so they hold for new films of the
    same source. `log_loss` is that of all classes; `ece` and `brier` are about the positive ones.
    """
    scores, classes = np.asarray(logits, np.float64), np.asarray(targets, np.int64)
    is_positive = np.isin(classes, positive)
    check_enough(is_positive)
    ways: dict[str, Fit] = {"temperature": fit_temperature, "platt": fit_platt}
    if len(scores) >= FILMS_FOR_ISOTONIC:
        ways["isotonic"] = fit_isotonic
    folds = stratified_folds(classes, seed)
    left_out = {way: _left_out(fit, scores, classes, positive, folds) for way, fit in ways.items()}
    losses = {way: log_losses(probabilities, classes) for way, probabilities in left_out.items()}
    best = "temperature"
    for way in ways:
        gain = losses["temperature"] - losses[way]
        clearly = gain.mean() > STANDARD_ERRORS * gain.std(ddof=1) / np.sqrt(len(gain))
        if clearly and losses[way].mean() < losses[best].mean():
            best = way
    fitted = ways[best](scores, classes, positive)
    before, after = softmax(scores, axis=1), left_out[best]
    figures = {"films": float(len(scores))}
    for moment, probabilities in (("before", before), ("after", after)):
        chance = probabilities[:, list(positive)].sum(1)
        figures[f"log_loss_{moment}"] = float(log_losses(probabilities, classes).mean())
        figures[f"ece_{moment}"] = expected_calibration_error(chance, is_positive)
        figures[f"brier_{moment}"] = float(np.mean((chance - is_positive) ** 2))
    return Calibration(fitted.method, fitted.temperature, fitted.x, fitted.y, figures)


def apply(calibration: Calibration, logits: NDArray[np.floating], positive: Sequence[int]) -> Floats:
    """The calibrated probabilities of all classes; what the graph of a bundle computes, in NumPy."""
    scores = np.asarray(logits, np.float64)
    if calibration.method in ("none", "temperature"):
        scores = scores / calibration.temperature
        odds = positive_score(scores, positive)
    elif calibration.method == "platt":
        slope, offset = calibration.x
        odds = slope * positive_score(scores, positive) + offset
    else:
        odds = logit(np.interp(expit(positive_score(scores, positive)), calibration.x, calibration.y))
    chance = expit(calibration.slope * odds + calibration.offset)
    inside, outside = groups(scores.shape[1], positive)
    probabilities = np.empty_like(scores)
    probabilities[:, inside] = chance[:, None] * softmax(scores[:, inside], axis=1)
    probabilities[:, outside] = (1 - chance)[:, None] * softmax(scores[:, outside], axis=1)
    return probabilities


class Goals(NamedTuple):
    """What the points `sensitive` and `specific` hold at least. With `of_new_films` they hold it on average over new
    films of the same kind, not only on those at hand: of n films so few may be missed that one more of n + 1 may, too.
    """

    sensitivity: float = GOAL
    specificity: float = GOAL
    of_new_films: bool = False

    def in_words(self, figure: Literal["sensitivity", "specificity"]) -> str:
        """What is held, as rules say it."""
        on_average = " on average over new films" if self.of_new_films else ""
        return f"{figure} of at least {getattr(self, figure):g}{on_average}"


AS_EXPORTED = Goals()


def operating_points(
    positive_probability: NDArray[np.floating], is_positive: NDArray[np.bool_]
) -> list[OperatingPoint]:
    """`balanced`, `sensitive` and `specific`, on validation films enough for them."""
    truth = np.asarray(is_positive, np.bool_)
    check_enough(truth)
    return choose_points(np.asarray(positive_probability, np.float64), truth)


def choose_points(scores: Floats, truth: NDArray[np.bool_], goals: Goals = AS_EXPORTED) -> list[OperatingPoint]:
    """The same, however few the films. A film is positive where its probability is at least the threshold.

    Thresholds lie half-way between neighboring scores of the films. Where several satisfy a rule equally, the one in
    the widest gap is taken; where none does, the one that comes nearest.
    """
    order = np.argsort(scores, kind="stable")
    ordered, gaps = scores[order], np.diff(scores[order])
    cuts = np.flatnonzero(gaps > NARROWEST)
    if not len(cuts):
        raise BundleError(
            f"the network gives all {len(scores):,} films the same probability; it has learned nothing to "
            "set a threshold on: train it longer, or with a smaller learning rate"
        )
    # Below the lowest score every film is positive. A threshold above all scores would find nothing: not offered,
    # unless a rule leaves nothing else.
    found_below = np.concatenate([[0], np.cumsum(truth[order])])
    films_below = np.concatenate([[0], cuts + 1, [len(scores)]])
    thresholds = np.concatenate([[ordered[0] / 2], ordered[cuts] + gaps[cuts] / 2, [(ordered[-1] + 1) / 2]])
    widths = np.concatenate([[ordered[0]], gaps[cuts], [1 - ordered[-1]]])
    thresholds[-1] = max(thresholds[-1], np.nextafter(ordered[-1], 2))
    positives, negatives = int(truth.sum()), int((~truth).sum())
    missed = found_below[films_below]
    alarms = negatives - (films_below - missed)
    sensitivity, specificity = 1 - missed / positives, 1 - alarms / negatives
    one_more = int(goals.of_new_films)
    rules = (
        ("balanced", "highest sensitivity + specificity", sensitivity + specificity, specificity * 0),
        (
            "sensitive",
            f"{goals.in_words('sensitivity')}, then highest specificity",
            specificity,
            (missed + one_more) / (positives + one_more) - (1 - goals.sensitivity),
        ),
        (
            "specific",
            f"{goals.in_words('specificity')}, then highest sensitivity",
            sensitivity,
            (alarms + one_more) / (negatives + one_more) - (1 - goals.specificity),
        ),
    )
    points = []
    for name, rule, merit, excess in rules:
        # First the goal, of which 19 in 20 are 0.95 however they are rounded; then the merit; then, among equals, the
        # other figure, then the widest gap.
        other = (sensitivity + specificity) - merit
        beyond = np.maximum(excess - 1e-9, 0)
        keys = np.lexsort((widths, np.round(other, 12), np.round(merit, 12), -beyond))
        best = keys[-1]
        points.append(
            OperatingPoint(name, float(thresholds[best]), rule, float(sensitivity[best]), float(specificity[best]))
        )
    return points


def check_enough(is_positive: NDArray[np.bool_]) -> None:
    """Refuses a validation set on which neither calibration nor operating points would mean anything."""
    positives, negatives = int(is_positive.sum()), int((~is_positive).sum())
    if not are_enough(is_positive):
        raise BundleError(
            f"validation has {positives:,} positive and {negatives:,} negative films; calibration and operating points "
            f"need at least {FEWEST} of each, because of fewer one film is more than 5 %; "
            "split the data set again with more films for validation"
        )


def are_enough(is_positive: NDArray[np.bool_]) -> bool:
    """Whether there are enough films of each kind to fit and set anything by."""
    return bool(min(is_positive.sum(), (~is_positive).sum()) >= FEWEST)


def fit_temperature(logits: Floats, targets: NDArray[np.int64], positive: Sequence[int]) -> Calibration:
    """One number that divides all logits."""
    wanted = platt_targets(targets, logits.shape[1])

    def loss(log_temperature: float) -> float:
        return -float((wanted * log_softmax(logits / np.exp(log_temperature), axis=1)).sum(1).mean())

    found = minimize_scalar(loss, bounds=(np.log(0.02), np.log(50)), method="bounded", options={"xatol": 1e-6})
    return Calibration("temperature", float(np.exp(found.x)), [], [], {})


def fit_platt(logits: Floats, targets: NDArray[np.int64], positive: Sequence[int]) -> Calibration:
    """A line through the log odds of the positive classes."""
    score = positive_score(logits, positive)
    wanted = platt_targets(np.isin(targets, positive).astype(np.int64), 2)[:, 1]
    # Logits may be of any size; the slope is sought in units of their scatter.
    scale = max(float(np.abs(score).max()), 1e-12)

    def loss(line: Floats) -> tuple[float, Floats]:
        margin = line[0] * score / scale + line[1]
        error = expit(margin) - wanted
        value = np.logaddexp(0, margin).mean() - (wanted * margin).mean()
        return float(value), np.array([(error * score).mean() / scale, error.mean()])

    found = minimize(loss, np.array([scale, 0.0]), jac=True, method="L-BFGS-B", options={"ftol": 1e-13, "gtol": 1e-9})
    return Calibration("platt", 1.0, [float(found.x[0] / scale), float(found.x[1])], [], {})


def fit_isotonic(logits: Floats, targets: NDArray[np.int64], positive: Sequence[int]) -> Calibration:
    """A staircase over the probability of the positive classes."""
    chance = expit(positive_score(logits, positive))
    wanted = platt_targets(np.isin(targets, positive).astype(np.int64), 2)[:, 1]
    fitted = IsotonicRegression(out_of_bounds="clip").fit(chance, wanted)
    return Calibration("isotonic", 1.0, fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), {})


def platt_targets(targets: NDArray[np.int64], classes: int) -> Floats:
    """What to aim at instead of 0 and 1: what one sees of n films of a class, with one more film of every class."""
    films = np.bincount(targets, minlength=classes)[targets]
    wanted = np.repeat(1 / (films + classes), classes).reshape(-1, classes)
    wanted[np.arange(len(targets)), targets] = (films + 1) / (films + classes)
    return wanted


def groups(classes: int, positive: Sequence[int]) -> tuple[list[int], list[int]]:
    """The columns of the positive classes, and those of the others."""
    return sorted(positive), [column for column in range(classes) if column not in positive]


def positive_score(logits: Floats, positive: Sequence[int]) -> Floats:
    """The log odds of the positive classes together."""
    inside, outside = groups(logits.shape[1], positive)
    return np.asarray(logsumexp(logits[:, inside], axis=1) - logsumexp(logits[:, outside], axis=1))


def stratified_folds(targets: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """The fold of every film; each class is spread evenly, however few films it has."""
    order = np.random.default_rng(seed).permutation(len(targets))
    dealt = order[np.argsort(targets[order], kind="stable")]
    folds = np.empty(len(targets), np.int64)
    folds[dealt] = np.arange(len(targets)) % FOLDS
    return folds


def log_losses(probabilities: Floats, targets: NDArray[np.int64]) -> Floats:
    """The loss of each film."""
    own = probabilities[np.arange(len(targets)), targets]
    return np.asarray(-np.log(np.maximum(own, np.finfo(np.float64).tiny)))


def expected_calibration_error(chance: Floats, is_positive: NDArray[np.bool_]) -> float:
    """How far the share of positive films lies from the probability given, on average over films in 15 even bins."""
    bins = np.minimum((chance * ECE_BINS).astype(np.int64), ECE_BINS - 1)
    surplus = np.bincount(bins, weights=chance - is_positive, minlength=ECE_BINS)
    return float(np.abs(surplus).sum() / len(chance))


def _left_out(
    fit: Fit, logits: Floats, targets: NDArray[np.int64], positive: Sequence[int], folds: NDArray[np.int64]
) -> Floats:
    """The probabilities of each film, calibrated on the films of the other folds."""
    probabilities = np.empty_like(logits)
    for fold in range(FOLDS):
        inside = folds == fold
        probabilities[inside] = apply(fit(logits[~inside], targets[~inside], positive), logits[inside], positive)
    return probabilities
