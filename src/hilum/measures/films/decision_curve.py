"""Whether acting on the model does more good than harm: net benefit (Vickers and Elkin 2006)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from hilum.measures.figure import Floats
from hilum.measures.films.binary import curve

THRESHOLDS = np.arange(1, 100) / 100


class DecisionCurve(NamedTuple):
    """Net benefit a film, at each threshold probability; acting on no film has none."""

    thresholds: Floats
    model: Floats
    treat_all: Floats


def decision_curve(probability: ArrayLike, truth: ArrayLike, thresholds: Floats = THRESHOLDS) -> DecisionCurve:
    """A threshold of 0.2 says that acting needlessly on 4 is as bad as missing 1."""
    at = curve(probability, truth)
    # The thresholds of a curve fall: the last that is not below the asked one has the same decisions.
    places = np.searchsorted(-at.thresholds, -thresholds, "right") - 1
    films = at.counts.films[0]
    harm = thresholds / (1 - thresholds)
    model = (at.counts.true_positives[places] - at.counts.false_positives[places] * harm) / films
    prevalence = at.counts.sick[0] / films
    return DecisionCurve(thresholds, model, prevalence - (1 - prevalence) * harm)
