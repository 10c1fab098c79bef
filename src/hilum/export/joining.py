"""What two views of a film say, joined into one: a small linear head, fitted on validation films.

Each view has two scores of a film: the log odds of the classes that mean pneumonia, and the highest places of its map
of opacities. Added up with weights of their own they become the film's log odds, which are calibrated like those of any
other network. A lungs view that adds nothing on films left out of the fit is left out. Which pneumonia it is, and what
it is instead, is said by the view of the whole film.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hilum.export.calibrate import FOLDS, check_enough, groups, positive_score, stratified_folds

Floats = NDArray[np.float64]

# Scikit-learn's C on standardized scores: four scores that say much the same share their weight instead of fighting.
PENALTY = 0.1
# The scores as a Joining weighs them, and which of them take part in each way to join.
SCORES = ("film", "film_map", "lungs", "lungs_map")
MAPS = [1, 3]  # those that maps of opacities give
WAYS = {"both views": [0, 1, 2, 3], "whole film": [0, 1]}


class Sight(NamedTuple):
    """What the views gave for films: logits of the classes (n, classes), highest places (n,) of the whole film's map,
    and both again of the lungs alone."""

    film: Floats
    film_places: Floats
    lungs: Floats
    lungs_places: Floats

    def scores(self, positive: Sequence[int]) -> Floats:
        """(n, 4), in the order in which a Joining weighs them."""
        odds = (positive_score(self.film, positive), positive_score(self.lungs, positive))
        return np.stack([odds[0], self.film_places, odds[1], self.lungs_places], axis=1)

    def take(self, films: NDArray[np.bool_]) -> Sight:
        """Of some of the films."""
        return Sight(*(values[films] for values in self))


class Joining(NamedTuple):
    """Weights of the four scores, and what is added. `usual` are both maps' scores of films without pneumonia,
    `log_losses` those of films left out of the fit, by WAYS."""

    weights: list[float]
    offset: float
    usual: list[float]
    log_losses: dict[str, float]


def fit_joining(sight: Sight, is_positive: NDArray[np.bool_], positive: Sequence[int], seed: int = 0) -> Joining:
    """The weights that tell films with pneumonia from others best. Raises BundleError where there are too few films."""
    check_enough(is_positive)
    scores, folds = sight.scores(positive), stratified_folds(is_positive.astype(np.int64), seed)
    losses = {way: _loss_left_out(scores[:, columns], is_positive, folds) for way, columns in WAYS.items()}
    columns = WAYS[min(losses, key=lambda way: losses[way])]
    line, offset = _fit(scores[:, columns], is_positive)
    weights = np.zeros(len(SCORES))
    weights[columns] = line
    usual = scores[~is_positive][:, MAPS].mean(0)
    return Joining(weights.tolist(), offset, usual.tolist(), losses)


def _fit(scores: Floats, is_positive: NDArray[np.bool_]) -> tuple[Floats, float]:
    center, scale = scores.mean(0), scores.std(0) + 1e-9
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit((scores - center) / scale, is_positive)
    weights = fitted.coef_[0] / scale
    return weights, float(fitted.intercept_[0] - weights @ center)


def _loss_left_out(scores: Floats, is_positive: NDArray[np.bool_], folds: NDArray[np.int64]) -> float:
    """The mean log loss of each film under the weights fitted to the other folds."""
    odds = np.empty(len(scores))
    for fold in range(FOLDS):
        inside = folds == fold
        weights, offset = _fit(scores[~inside], is_positive[~inside])
        odds[inside] = scores[inside] @ weights + offset
    return float(np.logaddexp(0, np.where(is_positive, -odds, odds)).mean())


def join(sight: Sight, joining: Joining, positive: Sequence[int]) -> Floats:
    """The logits (n, classes) of the film with the joined log odds in the place of its own; what the graph computes."""
    wanted = sight.scores(positive) @ np.array(joining.weights) + joining.offset
    inside, _ = groups(sight.film.shape[1], positive)
    logits = sight.film.copy()
    logits[:, inside] += (wanted - positive_score(sight.film, positive))[:, None]
    return logits
