"""What an ensemble's validation films looked like to it, for `hilum drift`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.card import Card
from hilum.bundle.drift.baseline import DriftCard, fit_axes
from hilum.bundle.drift.fitting import FOR_AXES, fit_baseline
from hilum.bundle.drift.traits import features_of, traits_of_readings
from hilum.evaluation.judge import Judgement
from hilum.export.ensemble.fitting import calibrations
from hilum.export.ensemble.probability import Line, along


def baseline(card: Card, judged: Judgement) -> DriftCard | None:
    """One film of each patient, as the calibrated ensemble sees it; None where they are too few.

    An ensemble was taught no films of its own: the axes are found on one in FOR_AXES of these, which are left out.
    """
    _, first = np.unique(judged.predictions.patients, return_index=True)
    places = np.sort(first).tolist()
    readings = [judged.readings[place] for place in places]
    axes = fit_axes(features_of(readings[::FOR_AXES]))
    if axes is None:
        return None
    kept = [number for number in range(len(places)) if number % FOR_AXES]
    seen = [replace(readings[each], probabilities=_calibrated(card, readings[each].probabilities)) for each in kept]
    sources = [judged.films["source"][places[each]] or "unknown" for each in kept]
    positive = [card.classes.index(name) for name in card.positive]
    return fit_baseline(traits_of_readings(seen, axes, positive), sources, axes)


def _calibrated(card: Card, means: NDArray[np.float32]) -> NDArray[np.float32]:
    """What the graph says in the place of these means (classes,), or (groups, classes)."""
    positive = [card.classes.index(name) for name in card.positive]
    rows = means if card.groups else means[None]
    made = [
        along(Line(fit.slope, fit.offset), row[None], positive)[0]
        for fit, row in zip(calibrations(card).values(), rows, strict=True)
    ]
    return np.stack(made).reshape(means.shape).astype(np.float32)
