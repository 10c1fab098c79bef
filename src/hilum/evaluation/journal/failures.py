"""Where a model errs more than elsewhere, and what the errors it is surest of have in common."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hilum.evaluation.journal.strata import NAMES, strata
from hilum.evaluation.judge import Judgement
from hilum.evaluation.predictions import Predictions
from hilum.evaluation.shortcut import Shortcut
from hilum.measures.figure import Bools, Ints
from hilum.measures.films.abstention import sureness
from hilum.measures.films.excess import Excess, excess
from hilum.measures.many_looks import holm

FEWEST = 10  # films of a part, below which an error rate says nothing
SUREST = 20
SHARED, BY_CHANCE = 3, 0.05  # films that make a group, and how often chance may make one


@dataclass(frozen=True, slots=True)
class Stratum:
    """A part of the films: its errors, of those with pneumonia `missed` and of those without `false_alarms`, and how
    many more than among all other films of which the same is known. `corrected` is Holm's p-value over all parts."""

    column: str
    name: str
    films: int
    errors: int
    missed: int
    sick: int
    false_alarms: int
    healthy: int
    excess: Excess
    corrected: float

    @property
    def words(self) -> str:
        """What its films are."""
        return f"{NAMES.get(self.column, self.column)}: {self.name}"


class Alike(NamedTuple):
    """Errors that share a part of the films, by their places in the Judgement; `share` of all films are of that part,
    None for those that share nothing."""

    words: str
    rows: list[int]
    share: float | None


@dataclass(frozen=True, slots=True)
class Failures:
    """Parts of the films, those with the most excess of errors first; and the surest errors, by what they share.

    `small` counts parts that have too few films to say anything of.
    """

    parts: list[Stratum]
    small: int
    surest: list[Alike]
    errors: int


def failures(judged: Judgement, shortcut: Shortcut) -> Failures:
    """Errors by threshold alone, over all films that could be read."""
    films = judged.predictions
    wrong = films.called != films.truth
    by_column = strata(judged, shortcut)
    members = {
        (column, name): np.array([value == name for value in values])
        for column, values in by_column.items()
        for name in sorted({value for value in values if value is not None})
        if len(set(values) - {None}) > 1
    }
    large = {part: member for part, member in members.items() if member.sum() >= FEWEST}
    parts = [_stratum(part, member, by_column[part[0]], films) for part, member in large.items()]
    corrected = holm([part[-1].p_value for part in parts]).tolist()
    made = [Stratum(*part, p) for part, p in zip(parts, corrected, strict=True)]
    return Failures(
        parts=sorted(made, key=lambda part: -part.excess.more),
        small=len(members) - len(large),
        surest=_alike(_surest(films, wrong), members),
        errors=int(wrong.sum()),
    )


def _by_chance(there: int, of: int, share: float) -> float:
    """How often so many films or more, of so many drawn, are of a part that has this share of all."""
    return sum(math.comb(of, count) * share**count * (1 - share) ** (of - count) for count in range(there, of + 1))


Counted = tuple[str, str, int, int, int, int, int, int, Excess]


def _stratum(part: tuple[str, str], member: Bools, values: list[str | None], films: Predictions) -> Counted:
    truth, wrong = films.truth, films.called != films.truth
    known = np.array([value is not None for value in values])
    return (
        *part,
        int(member.sum()),
        int((wrong & member).sum()),
        int((wrong & truth & member).sum()),
        int((truth & member).sum()),
        int((wrong & ~truth & member).sum()),
        int((~truth & member).sum()),
        excess(wrong[known], member[known], films.patients[known]),
    )


def _surest(films: Predictions, wrong: Bools) -> Ints:
    """The errors farthest from the threshold, in log odds."""
    order = np.argsort(-sureness(films.probability, films.thresholds), kind="stable")
    return np.asarray(order[wrong[order]][:SUREST], np.int64)


def _alike(surest: Ints, members: dict[tuple[str, str], Bools]) -> list[Alike]:
    """Grouped by the part that most of those left are in beyond its share of all films, again and again, as long as
    chance would give as many in fewer than 1 of 20 draws."""
    left, groups = surest.tolist(), []
    while len(left) >= SHARED:
        beyond = {part: member[left].sum() - len(left) * member.mean() for part, member in members.items()}
        enough = {
            part: gain
            for part, gain in beyond.items()
            if (there := int(members[part][left].sum())) >= SHARED
            and _by_chance(there, len(left), float(members[part].mean())) < BY_CHANCE
        }
        if not enough:
            break
        best = max(enough, key=lambda part: enough[part])
        rows = [row for row in left if members[best][row]]
        groups.append(Alike(f"{NAMES.get(best[0], best[0])}: {best[1]}", rows, float(members[best].mean())))
        left = [row for row in left if row not in rows]
    return [*groups, Alike("no part of the films in common", left, None)] if left else groups
