"""The same figures for parts of the films: by view, sex, age, source, or any column of the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hilum.evaluation.predictions import Predictions
from hilum.measures.bootstrap import USUAL, Resampling
from hilum.measures.figure import Bools, Figure
from hilum.measures.films.binary import binary_figures

UNKNOWN, OTHERS = "not known", "others"
MOST_GROUPS = 12
SMALL = 20  # films of a class; the interval of a share is then about 0.4 wide
AGES = ((5, "under 5"), (18, "5 to 17"), (40, "18 to 39"), (60, "40 to 59"), (80, "60 to 79"), (999, "80 and over"))


@dataclass(frozen=True, slots=True)
class Subgroup:
    """`small` says what there is too little of, if anything."""

    column: str
    name: str
    films: int
    patients: int
    sick: int
    abstained: int
    figures: dict[str, Figure]
    small: str


def age_band(age: float | None) -> str | None:
    """The group of an age in years. Children's films differ most, so their groups are the narrowest."""
    return None if age is None else next(name for below, name in AGES if age < below)


def subgroups(
    column: str, values: Sequence[str | None], films: Predictions, resampling: Resampling = USUAL
) -> list[Subgroup]:
    """One for each value, in order of name (ages by age); beyond 12 values the rarest are put together.

    None at all where the column tells nothing: all films have the same value.
    """
    frequency = Counter(UNKNOWN if value is None else value for value in values)
    if len(frequency) < 2:
        return []
    kept = {name for name, _ in frequency.most_common(MOST_GROUPS)} if len(frequency) > MOST_GROUPS else set(frequency)
    names = [name if (name := UNKNOWN if value is None else value) in kept else OTHERS for value in values]
    ages = [name for _, name in AGES]
    ordered = sorted(
        set(names), key=lambda name: (name in (UNKNOWN, OTHERS), ages.index(name) if name in ages else 0, name)
    )
    made = []
    for name in ordered:
        members = films.take(np.flatnonzero([each == name for each in names]))
        made.append(
            Subgroup(
                column,
                name,
                films=len(members),
                patients=len(np.unique(members.patients)),
                sick=int(members.truth.sum()),
                abstained=int(members.turned_away.sum()),
                figures=binary_figures(
                    members.probability, members.truth, members.called, members.patients, resampling
                ),
                small=_small(members.truth),
            )
        )
    return made


def _small(truth: Bools) -> str:
    sick, healthy = int(truth.sum()), int((~truth).sum())
    few = [f"{count} {words}" for count, words in ((sick, "with"), (healthy, "without")) if 0 < count < SMALL]
    return f"only {' and '.join(few)} pneumonia: read with care" if few else ""
