"""Films set against the baseline on a card: which of their traits differ, how surely and how much.

A film's numbers are counted between the quantiles of the baseline. How such counts fall where both sets of films are of
one kind hangs on nothing but the numbers of films, those behind the quantiles included, so p-values are exact however
the numbers are distributed. Facts are compared by exchanging films between both sets. Holm's correction is for looking
at many traits. Films are of a bundle's kinds where they are like one of them: the kind that they are least unlike
speaks.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.drift.baseline import FACTS, DriftCard, Floats, Kind, Steps
from hilum.bundle.drift.traits import Traits
from hilum.radiograph.patient import Patient

LEVEL = 0.05  # false alarms, of sets of films of the same kind
DRAWS = 19_999  # a p-value can be no smaller than one in so many
LEAST_SPREAD = 0.05  # of all that lies between the outermost quantiles
FEWEST = 20  # films of a group of patients: of fewer nothing is said


@dataclass(frozen=True, slots=True)
class TraitShift:
    """One trait of films against the baseline. `p` is corrected for all traits of all groups of patients.

    `apart` is the largest share of films by which the two distributions are apart at any place, from 0 to 1. Of a
    number there are the median of the baseline and of the films; of a fact the value whose share differs the most.
    """

    trait: str
    p: float
    apart: float
    usual: float | None = None
    median: float | None = None
    value: str | None = None

    @property
    def alarms(self) -> bool:
        """Whether it differs by more than chance."""
        return self.p <= LEVEL


@dataclass(frozen=True, slots=True)
class GroupComparison:
    """The films of one group of patients against the `kind` that they are least unlike; the surest shift first."""

    patient: Patient | None
    films: int
    kind: Kind
    shifts: tuple[TraitShift, ...]

    @property
    def alarms(self) -> bool:
        """Whether any trait differs by more than chance."""
        return any(shift.alarms for shift in self.shifts)


@dataclass(frozen=True, slots=True)
class Strangers:
    """Films that the network takes to be of a group of patients of whom the baseline knows no kind: how many they are,
    and the share `usual` of such among the films of the baseline. `p` is corrected as that of a trait.
    """

    films: int
    usual: float
    p: float

    @property
    def alarms(self) -> bool:
        """Whether they are more than by chance."""
        return self.p <= LEVEL


@dataclass(frozen=True, slots=True)
class Comparison:
    """What came of setting films against a baseline; `skipped` counts films of groups of fewer than FEWEST."""

    groups: tuple[GroupComparison, ...]
    strangers: Strangers
    skipped: int

    @property
    def alarms(self) -> bool:
        """Whether films are of another kind; wrong for at most one in twenty sets of films of the same kind."""
        return self.strangers.alarms or any(group.alarms for group in self.groups)


def compare(films: Traits, baseline: DriftCard, seed: int = 0) -> Comparison:
    """Set films against a baseline; each should be of a patient of its own. The same seed gives the same p-values."""
    parts = [(patient, films.of(patient)) for patient in baseline.patients]
    strangers = len(films) - sum(len(part) for _, part in parts)
    parts = [(patient, part) for patient, part in parts if len(part) >= FEWEST]
    looks = len(parts) + (baseline.patients != [None])  # a network that tells no groups knows no strangers
    groups = tuple(_nearest(patient, part, baseline, looks, seed) for patient, part in parts)
    skipped = len(films) - strangers - sum(group.films for group in groups)
    return Comparison(groups, _strangers(strangers, len(films), baseline, looks), skipped)


def _strangers(strangers: int, films: int, baseline: DriftCard, looks: int) -> Strangers:
    """By Fisher's exact test, one-sided: with how many such among all films, these ones have so many or more."""
    known, others = baseline.films, baseline.others
    both = others + strangers
    ways = _log_choices(known + films - strangers + both, films)
    p = sum(
        math.exp(_log_choices(both, here) + _log_choices(known + films - strangers, films - here) - ways)
        for here in range(strangers, min(both, films) + 1)
        if films - here <= known + films - strangers
    )
    return Strangers(strangers, others / (known + others), min(p * max(looks, 1), 1.0))


def _log_choices(of: int, chosen: int) -> float:
    return math.lgamma(of + 1) - math.lgamma(chosen + 1) - math.lgamma(of - chosen + 1)


def strangeness(films: Traits, kind: Kind, names: Sequence[str]) -> Floats:
    """How far each number of each film lies from the baseline's median, in its spread: (films, names); 0 where the
    baseline does not know the number.

    The spread is that of a normal distribution with the baseline's quantiles, each side by itself.
    """
    far = np.zeros((len(films), len(names)))
    for column, name in enumerate(names):
        if (steps := kind.numbers.get(name)) is not None and len(steps.values) > 2:
            low, middle, high = _quantiles(steps, kind.films, (0.159, 0.5, 0.841))
            offset = films.numbers[:, column] - middle
            least = LEAST_SPREAD * (steps.values[-1] - steps.values[0])  # where many films share the median
            far[:, column] = offset / np.where(offset < 0, max(middle - low, least), max(high - middle, least))
    return far


def _nearest(patient: Patient | None, films: Traits, baseline: DriftCard, groups: int, seed: int) -> GroupComparison:
    """Against each kind that there is; the one whose surest shift is the least sure speaks, for all need be refuted."""
    each = [(kind, _shifts(films, kind, baseline.names, groups, seed)) for kind in baseline.kinds_of(patient)]
    kind, shifts = max(each, key=lambda one: (one[1][0].p, -max(shift.apart for shift in one[1])))
    return GroupComparison(patient, len(films), kind, shifts)


def _shifts(films: Traits, kind: Kind, names: Sequence[str], groups: int, seed: int) -> tuple[TraitShift, ...]:
    shifts = [
        _number_shift(name, films.numbers[:, column], kind.numbers[name], kind.films, seed)
        for column, name in enumerate(names)
        if name in kind.numbers and kind.numbers[name].values
    ]
    shifts += [
        _fact_shift(name, Counter(facts[place] for facts in films.facts), kind.facts[name], seed)
        for place, name in enumerate(FACTS)
    ]
    shifts.sort(key=lambda shift: (shift.p, -shift.apart))
    return tuple(_corrected(shifts, groups))


def _corrected(shifts: Sequence[TraitShift], groups: int) -> list[TraitShift]:
    """Holm's correction of shifts in the order of their p-values, and Bonferroni's for several groups."""
    corrected: list[TraitShift] = []
    least = 0.0
    for place, shift in enumerate(shifts):
        least = max(least, min(shift.p * (len(shifts) - place) * groups, 1.0))
        corrected.append(TraitShift(shift.trait, least, shift.apart, shift.usual, shift.median, shift.value))
    return corrected


def _number_shift(name: str, values: Floats, steps: Steps, baseline: int, seed: int) -> TraitShift:
    edges, weights = np.array(steps.values), weights_of(steps, baseline)
    counts = np.bincount(np.searchsorted(edges, values), minlength=len(weights))
    expected = np.cumsum(weights)[:-1] / weights.sum()
    below = np.cumsum(counts)[:-1] / len(values)
    p = p_of_number(tuple(weights.tolist()), len(values), _departure(below, expected), seed)
    middle = float(_quantiles(steps, baseline, (0.5,))[0])
    return TraitShift(name, p, float(np.abs(below - expected).max()), middle, float(np.median(values)))


def _fact_shift(name: str, films: Counter[str], baseline: dict[str, int], seed: int) -> TraitShift:
    values = sorted({*films, *baseline})
    here = np.array([films[value] for value in values])
    usual = np.array([baseline.get(value, 0) for value in values])
    p = p_of_fact(here + usual, here, seed) if len(values) > 1 else 1.0
    share, usual_share = here / here.sum(), usual / usual.sum()
    most = int(np.argmax(np.abs(share - usual_share)))
    return TraitShift(name, p, float(np.abs(share - usual_share).sum() / 2), value=values[most])


def weights_of(steps: Steps, films: int) -> NDArray[np.int64]:
    """How likely a further film of the kind lies between quantiles, in shares of their sum: below the first, between
    each two, above the last.
    """
    return np.diff([0, *steps.ranks, films + 1])


def p_of_number(weights: tuple[int, ...], films: int, departure: Floats | float, seed: int) -> float:
    """How often a departure is as large as this where nothing differs."""
    return _share_at_least(_departures(weights, films, seed), departure)


@lru_cache(maxsize=64)
def _departures(weights: tuple[int, ...], films: int, seed: int) -> Floats:
    """Films fall between quantiles as Polya's urn says: the shares are Dirichlet's, the counts multinomial."""
    random = np.random.default_rng([seed, 1])
    counts = random.multinomial(films, random.dirichlet(weights, DRAWS))
    expected = np.cumsum(weights)[:-1] / sum(weights)
    return _departure(np.cumsum(counts, 1)[:, :-1] / films, expected)


def p_of_fact(both: NDArray[np.int64], films: NDArray[np.int64], seed: int) -> float:
    """How often counts of values differ as much; every choice of these films among all is as likely as any other."""
    random = np.random.default_rng([seed, 2])
    drawn = random.multivariate_hypergeometric(both, films.sum(), DRAWS, method="marginals")
    expected = both * films.sum() / both.sum()
    squares = (np.square(drawn - expected) / expected).sum(1)
    return _share_at_least(squares, float((np.square(films - expected) / expected).sum()))


def _departure(below: Floats, expected: Floats) -> Floats:
    """Anderson's and Darling's: squared differences of the distributions, in units of their variance."""
    return np.asarray((np.square(below - expected) / (expected * (1 - expected))).mean(-1))


def _share_at_least(drawn: Floats, seen: Floats | float) -> float:
    """A bit below what was seen counts, too, for sums of the same numbers may differ in their last digit."""
    return float((1 + (drawn >= seen * (1 - 1e-9)).sum()) / (len(drawn) + 1))


def _quantiles(steps: Steps, films: int, shares: Sequence[float]) -> Floats:
    return np.interp(shares, np.array(steps.ranks) / (films + 1), steps.values)
