"""A baseline fitted to films: quantiles of their numbers and counts of their facts, by source and group of patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from hilum.bundle.card import BundleError, Card
from hilum.bundle.drift.baseline import FACTS, TOGETHER, Axes, DriftCard, Floats, Kind, Steps, fit_axes
from hilum.bundle.drift.traits import Traits, features_of, traits_of_readings
from hilum.bundle.reading import Reading
from hilum.radiograph.patient import PATIENTS, Patient

FEWEST = 50  # films of different patients, to be a kind
FEWEST_BETWEEN = 5  # films between quantiles, and beyond the outermost: a quantile is no film's own
SHARES = (0.01, 0.02, *(step / 20 for step in range(1, 20)), 0.98, 0.99)
# Of films that come without axes to read them along, one in so many is spent on finding them.
FOR_AXES = 3


def fit_baseline(traits: Traits, sources: Sequence[str], axes: Axes) -> DriftCard | None:
    """The baseline of these films, each of a patient of its own; None where no kind has FEWEST of them."""
    kinds: list[Kind] = []
    others = 0
    for patient in (None, *PATIENTS):
        rows = [row for row, whose in enumerate(traits.patients) if whose == patient]
        counts = Counter(sources[row] for row in rows)
        for source in sorted(counts):
            if counts[source] >= FEWEST:
                kinds.append(_kind(source, patient, traits.take([row for row in rows if sources[row] == source]), axes))
        if len(counts) > 1 and len(rows) >= FEWEST:
            kinds.append(_kind(TOGETHER, patient, traits.take(rows), axes))
        if len(rows) < FEWEST:
            others += len(rows)
    return DriftCard(axes, kinds, others) if kinds else None


def local_baseline(card: Card, readings: Sequence[Reading], source: str = "own films") -> DriftCard:
    """The baseline of films of one's own, as a bundle looked at them: one film of each patient, none left out.

    The readings are those of the bundle that the baseline is for: where calibration or the gate's limit are changed,
    with the probabilities and gate's rows that come of it. Films are read along the axes that the bundle has; one that
    was exported before there were any gets axes from a third of these films, which are then no part of the baseline.
    Raises BundleError where films are too few.
    """
    if card.drift is not None:
        axes, kept = card.drift.axes, list(readings)
    else:
        found = fit_axes(features_of(readings[::FOR_AXES])) if readings else None
        if found is None:
            raise BundleError(_too_few(len(readings)))
        axes, kept = found, [reading for number, reading in enumerate(readings) if number % FOR_AXES]
    made = None
    if kept:
        positive = [card.classes.index(name) for name in card.positive]
        made = fit_baseline(traits_of_readings(kept, axes, positive), [source] * len(kept), axes)
    if made is None:
        raise BundleError(_too_few(len(kept)))
    return made


def _kind(source: str, patient: Patient | None, films: Traits, axes: Axes) -> Kind:
    names = DriftCard.names_along(axes)
    numbers = {
        name: _steps(column) for name, column in zip(names, films.numbers.T, strict=True) if np.isfinite(column).all()
    }
    facts = {name: dict(Counter(fact[place] for fact in films.facts)) for place, name in enumerate(FACTS)}
    return Kind(source, patient, len(films), numbers, facts)


def _steps(column: Floats) -> Steps:
    """Quantiles at SHARES, fewer where films are few or alike."""
    ordered, films = np.sort(column), len(column)
    values: list[float] = []
    ranks: list[int] = []
    for share in SHARES:
        value = float(ordered[max(round(share * (films + 1)) - 1, 0)])
        rank = int(np.searchsorted(ordered, value, "right"))
        if rank - (ranks[-1] if ranks else 0) >= FEWEST_BETWEEN and films - rank >= FEWEST_BETWEEN:
            values.append(value)
            ranks.append(rank)
    return Steps(values, ranks)


def _too_few(films: int) -> str:
    return f"{films:,} films to fit a baseline of drift to, too few; give films of at least {FEWEST} patients"
