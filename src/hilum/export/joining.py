"""What two views of a film say, joined into one: a small linear head, fitted on validation films.

Each view has two scores of a film: the log odds of the classes that mean pneumonia, and the highest places of its map
of opacities. Added up with weights of their own they become the film's log odds, which are calibrated like those of any
other network. Which pneumonia it is, and what it is instead, is said by the view of the whole film.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression

from hilum.export.calibrate import check_enough, groups, positive_score

Floats = NDArray[np.float64]

# Scikit-learn's C on standardized scores: four scores that say much the same share their weight instead of fighting.
PENALTY = 0.1
MAPS = [1, 3]  # of the scores, those that maps of opacities give


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


class Joining(NamedTuple):
    """Weights of the four scores, and what is added. `usual` are both maps' scores of films without pneumonia."""

    weights: list[float]
    offset: float
    usual: list[float]


def fit_joining(sight: Sight, is_positive: NDArray[np.bool_], positive: Sequence[int]) -> Joining:
    """The weights that tell films with pneumonia from others best. Raises BundleError where there are too few films."""
    check_enough(is_positive)
    scores = sight.scores(positive)
    center, scale = scores.mean(0), scores.std(0) + 1e-9
    fitted = LogisticRegression(C=PENALTY, max_iter=1000).fit((scores - center) / scale, is_positive)
    weights = fitted.coef_[0] / scale
    usual = scores[~is_positive][:, MAPS].mean(0)
    return Joining(weights.tolist(), float(fitted.intercept_[0] - weights @ center), usual.tolist())


def join(sight: Sight, joining: Joining, positive: Sequence[int]) -> Floats:
    """The logits (n, classes) of the film with the joined log odds in the place of its own; what the graph computes."""
    wanted = sight.scores(positive) @ np.array(joining.weights) + joining.offset
    inside, _ = groups(sight.film.shape[1], positive)
    logits = sight.film.copy()
    logits[:, inside] += (wanted - positive_score(sight.film, positive))[:, None]
    return logits
