"""What a bundle's films looked like, as aggregates on its card: quantiles and counts, and no feature of a single film.

Of films that came from several places there is a kind for each source, and one for all together. Films that a network
takes for a child's are a kind apart from films that it takes for an adult's, where it tells the two apart.
"""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.drift.grays import GRAYS
from hilum.radiograph.patient import PATIENTS, Patient

Floats = NDArray[np.float64]

MOST_AXES = 12
FILMS_PER_AXIS = 10
SCALE_DIGITS = 6  # after the point
BESIDE = "beside the axes"
PNEUMONIA, DISTANCE, TURNED = "log odds of pneumonia", "gate's distance", "log odds of not upright"
ANSWERS = (PNEUMONIA, DISTANCE, TURNED)
FACTS = ("size", "shape", "bits", "photometric")
TOGETHER = "all together"  # the kind of films of every source


@dataclass(frozen=True)
class Axes:
    """The directions in which features of films differ the most, found on `films` training films by PCA.

    `center` is a film's mean feature and `directions` are the axes, one after the other; both are float16, little
    endian, as base64. `scale` is how far training films lie along each axis.
    """

    films: int
    features: int
    center: str
    directions: str
    scale: list[float]

    def __post_init__(self) -> None:
        axes = len(self.scale)
        if not 1 <= axes <= MOST_AXES or min(self.scale) <= 0:
            raise ValueError("its axes of drift are not what hilum writes")
        for packed, numbers in ((self.center, self.features), (self.directions, axes * self.features)):
            if len(b64decode(packed)) != 2 * numbers:
                raise ValueError("its axes of drift are not as long as its features")

    @property
    def names(self) -> list[str]:
        """What the columns of `project` are called."""
        return [*(f"axis {number}" for number in range(1, len(self.scale) + 1)), BESIDE]

    @cached_property
    def _unpacked(self) -> tuple[Floats, Floats]:
        center, directions = (
            np.frombuffer(b64decode(packed), "<f2").astype(np.float64) for packed in (self.center, self.directions)
        )
        return center, directions.reshape(len(self.scale), self.features)

    def project(self, features: NDArray[np.float32]) -> Floats:
        """Features (films, features) along the axes and, as a logarithm, how far beside all of them: (films, names)."""
        center, directions = self._unpacked
        offset = features.astype(np.float64) - center
        along = offset @ directions.T
        beside = np.sqrt(np.square(offset - along @ directions).mean(1))
        return np.column_stack([along / self.scale, np.log(beside + 1e-9)])


def fit_axes(features: NDArray[np.float32]) -> Axes | None:
    """The axes of films (films, features); None where there are too few films for a single one.

    Not to be fitted to films that quantiles are taken of: along their own axes films look farther apart than others do.
    """
    films, columns = features.shape
    count = min(MOST_AXES, films // FILMS_PER_AXIS, columns)
    center = features.mean(0, dtype=np.float64)
    _, singular, directions = np.linalg.svd(features - center, full_matrices=False)
    scale = singular[:count] / np.sqrt(max(films, 1))
    count = int((scale > 1e-6 * max(scale.max(initial=0), 1e-6)).sum())
    if not count:
        return None
    return Axes(
        films, columns, _packed(center), _packed(directions[:count]), [float(f"{value:.5g}") for value in scale[:count]]
    )


@dataclass(frozen=True, slots=True)
class Steps:
    """Quantiles of one number of films: `ranks` of the films are not above `values`, both rising."""

    values: list[float]
    ranks: list[int]

    def __post_init__(self) -> None:
        if len(self.values) != len(self.ranks) or not (_rise(self.values) and _rise(self.ranks)):
            raise ValueError("its quantiles do not rise")


@dataclass(frozen=True, slots=True)
class Kind:
    """Films of one source, or TOGETHER, that the network takes for one group of patients; each film is of a patient of
    its own. `numbers` has quantiles by name, `facts` how often each value occurs.
    """

    source: str
    patient: Patient | None
    films: int
    numbers: dict[str, Steps]
    facts: dict[str, dict[str, int]]

    def __post_init__(self) -> None:
        for steps in self.numbers.values():
            if steps.ranks and not 0 < steps.ranks[0] <= steps.ranks[-1] <= self.films:
                raise ValueError("its quantiles are of more films than it has")
        for counts in self.facts.values():
            if sum(counts.values()) != self.films or min(counts.values()) < 1:
                raise ValueError("its counts do not add up to its films")

    @property
    def name(self) -> str:
        """For people."""
        return self.source if self.patient is None else f"{self.source}, {WHOSE[self.patient]}"


WHOSE: dict[Patient, str] = {"child": "children", "adult": "adults"}


@dataclass(frozen=True, slots=True)
class DriftCard:
    """What films of a bundle looked like when it was made: the axes that its features are read along, and kinds.

    `others` counts films of a group of patients that are too few to be a kind.
    """

    axes: Axes
    kinds: list[Kind]
    others: int = 0

    def __post_init__(self) -> None:
        if self.others < 0:
            raise ValueError("its counts of films are none")
        if not self.kinds or len({(kind.source, kind.patient) for kind in self.kinds}) != len(self.kinds):
            raise ValueError("its kinds of films are not distinct")

    @property
    def names(self) -> list[str]:
        """The numbers of a film, in the order of their columns; a kind of an earlier hilum has no GRAYS."""
        return self.names_along(self.axes)

    @staticmethod
    def names_along(axes: Axes) -> list[str]:
        """The same, before there is a card."""
        return [*axes.names, *ANSWERS, *GRAYS]

    def kinds_of(self, patient: Patient | None) -> list[Kind]:
        """Those that films of this group of patients may be of."""
        return [kind for kind in self.kinds if kind.patient == patient]

    def without(self, names: Collection[str]) -> DriftCard:
        """The same without some numbers, by which films are then not compared any more."""
        kinds = [
            replace(kind, numbers={name: steps for name, steps in kind.numbers.items() if name not in names})
            for kind in self.kinds
        ]
        return replace(self, kinds=kinds)

    @property
    def films(self) -> int:
        """How many there were of all kinds; where there are several sources, one kind has the films of all of them."""
        return sum(max(kind.films for kind in self.kinds_of(patient)) for patient in self.patients)

    @property
    def patients(self) -> list[Patient | None]:
        """The groups of patients that there are kinds of."""
        return [patient for patient in (None, *PATIENTS) if self.kinds_of(patient)]


def _packed(values: Sequence[float] | Floats) -> str:
    return b64encode(np.asarray(values, "<f2").tobytes()).decode("ascii")


def _rise(values: Sequence[float]) -> bool:
    return all(before < after for before, after in pairwise(values))
