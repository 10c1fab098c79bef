"""A watch over films as they come: an alarm once they are of no known kind, and seldom without reason.

Bets are made on where the next film will lie among the films of the baseline and all that came since. Where films are
of one kind, whatever their order, every place is as likely as every other, so no bet wins on average. The bets' wealth,
to which one is added with each film (Shiryaev and Roberts), then reaches E on average after E films at the earliest,
whatever the distributions, however traits hang together and however small the baseline: this is how false alarms are
held to one in FALSE_ALARM_EVERY. A part of the stake is on films of patients of a group of whom the baseline has no
kind. Where films may be of several kinds, the bets against each of them must have won.

All that is kept are counts and wealth, no number of a film. Films become part of what the next ones are compared with,
so a change so slow that it takes as many films as the baseline has is missed; comparing the films of some months with
the baseline (comparison.py) finds it.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hilum import __version__
from hilum.bundle.drift.baseline import FACTS, WHOSE, DriftCard, Floats, Steps
from hilum.bundle.drift.comparison import weights_of
from hilum.bundle.drift.traits import Traits
from hilum.radiograph.patient import Patient
from hilum.system.files import content_digest, write_whole
from hilum.system.typed import MisfitError, build

FORMAT = 2
FALSE_ALARM_EVERY = 10_000  # films, on average and at most
# How steeply bets rise towards what is rare in the baseline.
STEEPNESS = (0.3, 0.7, 0.9)
MOST = 1e12  # wealth beyond it says no more, and would take long to be lost
CHUNK = 256  # films at once, for speed
NAMED = 3  # traits that an alarm names
ON_STRANGERS = 0.1  # share of the stake that is bet on films of patients of whom no kind is known
STRANGERS = "patients of a group of whom no films are known"


class MonitorError(ValueError):
    """A state that cannot be gone on with, in one line that names its file."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """Films are of no known kind any more: shown by which film, on which day, by which traits, the surest first."""

    film: int
    day: str
    patient: Patient | None
    traits: list[str]

    def in_words(self) -> str:
        """Which film gave it, when, and why."""
        whose = "" if self.patient is None else f" of {WHOSE[self.patient]}"
        return f"alarm with film {self.film:,} on {self.day}, films{whose} differ by {', '.join(self.traits)}"


@dataclass(slots=True)
class KindState:
    """What was won and lost on bets against one kind, and where films came to lie among its own."""

    source: str
    wealth: list[float]
    counts: list[list[int]]  # of each number, between its quantiles
    facts: list[dict[str, int]]  # how often each value of each fact occurred, in the baseline and since


@dataclass(slots=True)
class GroupState:
    """The films of one group of patients."""

    patient: Patient | None
    films: int
    kinds: list[KindState]


@dataclass(slots=True)
class MonitorState:
    """All that is kept between films; `baseline` is a digest. Of the patients of `strangers` no kind is known, and
    `on_strangers` is the wealth of the bet on them.
    """

    format: int
    hilum: str
    baseline: str
    films: int = 0
    strangers: int = 0
    on_strangers: float = 0.0
    alarm: Alarm | None = None
    groups: list[GroupState] = field(default_factory=list)


class Monitor:
    """Takes films as they come, in their order, and says when they are of another kind. Its alarm stays.

    One film or many may be added at a time; the outcome is the same. `save` keeps the state, `load` goes on with it.

    >>> monitor = Monitor.load(Path("drift-state.json"), model.card.drift)
    >>> monitor.add(traits_of_readings([reading], model.card.drift.axes, positive))
    >>> monitor.save(Path("drift-state.json"))
    """

    def __init__(self, baseline: DriftCard, state: MonitorState | None = None) -> None:
        self._baseline = baseline
        kept = {group.patient: group for group in state.groups} if state is not None else {}
        self._groups = [_Group(baseline, patient, kept.get(patient)) for patient in baseline.patients]
        self._state = state or MonitorState(FORMAT, __version__, digest_of(baseline))

    @classmethod
    def load(cls, path: Path, baseline: DriftCard) -> Monitor:
        """Go on from a file, or start where there is none. Raises MonitorError where it is of another baseline."""
        if not path.exists():
            return cls(baseline)
        try:
            state = build(MonitorState, json.loads(path.read_text(encoding="utf-8")))
            if state.format != FORMAT:
                raise MonitorError(f"{path}: was written by another version of hilum; move it away to start anew")
            if state.baseline != digest_of(baseline):
                raise MonitorError(f"{path}: watched films of another baseline; move it away to start anew")
            return cls(baseline, state)
        except MonitorError:
            raise
        except (ValueError, MisfitError):
            raise MonitorError(f"{path}: is no state of `hilum drift`, or a damaged one; move it away") from None

    def save(self, path: Path) -> None:
        """Put the state down, the whole of it or nothing. Raises OSError."""
        self._state.hilum = __version__
        self._state.groups = [group.state() for group in self._groups]
        write_whole(path, json.dumps(asdict(self._state)) + "\n")

    @property
    def films(self) -> int:
        """How many it has seen."""
        return self._state.films

    @property
    def alarm(self) -> Alarm | None:
        """The first alarm; whoever has seen to it starts anew."""
        return self._state.alarm

    def to_dict(self) -> dict[str, Any]:
        """How it stands, as plain data."""
        alarm = self.alarm
        return {
            "films": self.films,
            "false_alarm_every": FALSE_ALARM_EVERY,
            "alarm": alarm
            and {"film": alarm.film, "day": alarm.day, "patient_group": alarm.patient, "traits": alarm.traits},
        }

    def add(self, films: Traits) -> Alarm | None:
        """Take films, in their order; the alarm, if one of these gave it."""
        state, known = self._state, self._baseline.patients
        alarms: list[Alarm] = []
        day = f"{datetime.now(UTC):%Y-%m-%d}"
        for group in self._groups:
            rows = [row for row, patient in enumerate(films.patients) if patient == group.patient]
            found = group.add(films.take(rows))
            if found is not None:
                alarms.append(Alarm(state.films + rows[found[0]] + 1, day, group.patient, found[1]))
        for patient in films.patients:
            state.films += 1
            if self._stranger_alarms(patient not in known):
                alarms.append(Alarm(state.films, day, patient, [STRANGERS]))
        if state.alarm is not None or not alarms:
            return None
        state.alarm = min(alarms, key=lambda alarm: alarm.film)
        return state.alarm

    def _stranger_alarms(self, stranger: bool) -> bool:
        """Bet on whether the last film is a stranger, as on a fact; whether that bet has won."""
        state = self._state
        state.strangers += stranger
        strangers = self._baseline.others + state.strangers
        films = self._baseline.films + self._baseline.others + state.films
        alike = strangers if stranger else films - strangers
        values = 1 + (strangers > 0)
        state.on_strangers = min((1 + state.on_strangers) * films / (alike * (values + 1)), MOST)
        return stranger and state.on_strangers >= FALSE_ALARM_EVERY / ON_STRANGERS


def digest_of(baseline: DriftCard) -> str:
    """By which a state knows its baseline again."""
    return content_digest(json.dumps(asdict(baseline), sort_keys=True).encode())


class _Group:
    """Bets against every kind of one group of patients.

    Arrays are (kinds, numbers, places between quantiles), filled up to the most places that there are, and wealth is
    (kinds, bets): each bet on each number, then one on each fact.
    """

    def __init__(self, baseline: DriftCard, patient: Patient | None, kept: GroupState | None) -> None:
        self.patient = patient
        self._kinds = baseline.kinds_of(patient)
        self._names = baseline.names
        steps = [[kind.numbers.get(name, Steps([], [])) for name in self._names] for kind in self._kinds]
        self._edges = [[np.array(one.values) for one in row] for row in steps]
        places = 1 + max(len(one.values) for row in steps for one in row)
        shape = (len(self._kinds), len(self._names), places)
        self._weights = np.zeros(shape)
        for number, (kind, row) in enumerate(zip(self._kinds, steps, strict=True)):
            for column, one in enumerate(row):
                known = weights_of(one, kind.films)
                self._weights[number, column, : len(known)] = known
        self._bets = _bets(self._weights)
        self._played = np.array([[bool(one.values) for one in row] for row in steps])
        bets = len(self._bets) * self._played.sum(1) + len(FACTS)
        self._enough = FALSE_ALARM_EVERY / (1 - ON_STRANGERS) * bets
        self._counts = np.zeros(shape, np.int64)
        self._facts = [[dict(kind.facts[name]) for name in FACTS] for kind in self._kinds]
        self._wealth = np.zeros((len(self._kinds), len(self._bets) * len(self._names) + len(FACTS)))
        self._films = 0
        if kept is not None:
            self._films = kept.films
            self._counts = _shaped([kind.counts for kind in kept.kinds], self._counts)
            self._wealth = _shaped([kind.wealth for kind in kept.kinds], self._wealth)
            self._facts = [kind.facts for kind in kept.kinds]

    def add(self, films: Traits) -> tuple[int, list[str]] | None:
        """The row at which the bets against every kind had won, and the traits that won them."""
        found: tuple[int, list[str]] | None = None
        for start in range(0, len(films), CHUNK):
            part = films.take(range(start, min(start + CHUNK, len(films))))
            wealth = np.concatenate([self._gains(part), self._fact_gains(part)], 2)
            last = self._wealth
            for gains in wealth:  # become wealth in their place
                np.minimum((1 + last) * gains, MOST, out=gains)
                last = gains
            won = (wealth.sum(2) >= self._enough).all(1)
            if found is None and won.any():
                row = int(won.argmax())
                found = start + row, self._traits(wealth[row])
            self._wealth = last.copy()
        return found

    def state(self) -> GroupState:
        """As plain data."""
        kinds = [
            KindState(kind.source, self._wealth[number].tolist(), self._counts[number].tolist(), self._facts[number])
            for number, kind in enumerate(self._kinds)
        ]
        return GroupState(self.patient, self._films, kinds)

    def _gains(self, films: Traits) -> Floats:
        """What each bet on a number is multiplied by with each film: (films, kinds, bets).

        A bet pays by the place that a film comes to lie at. What it pays on average over the films of the baseline and
        those since, each place counting once more than it has films, is a fair price of it.
        """
        shape = (len(films), *self._counts.shape[:2])
        at = np.zeros(shape, np.int64)
        for number, row in enumerate(self._edges):
            for column, edges in enumerate(row):
                at[:, number, column] = np.searchsorted(edges, films.numbers[:, column])
        kinds, columns = np.ogrid[: shape[1], : shape[2]]
        pays = np.moveaxis(self._bets[:, kinds, columns, at], 0, 2)  # (films, kinds, bets, numbers)
        before = np.einsum("bknp,knp->kbn", self._bets, self._weights + self._counts)
        paid = before + np.cumsum(pays, 0) - pays
        baseline = np.array([kind.films + 1 for kind in self._kinds])[:, None, None]
        fair = paid / (baseline + self._films + np.arange(len(films))[:, None, None, None])
        np.add.at(self._counts, (kinds, columns, at), 1)
        self._films += len(films)
        gains: Floats = np.where(self._played[:, None], pays / fair, 0.0)
        return gains.reshape(len(films), shape[1], -1)

    def _fact_gains(self, films: Traits) -> Floats:
        """The same of facts: the bet is on what is rare, and on what never was before."""
        gains = np.empty((len(films), len(self._kinds), len(FACTS)))
        for place in range(len(FACTS)):
            values, codes = np.unique([facts[place] for facts in films.facts], return_inverse=True)
            so_far = np.cumsum(codes[:, None] == np.arange(len(values)), 0)  # (films, values), this one included
            here = np.take_along_axis(so_far, codes[:, None], 1)[:, 0]
            for number, counts in enumerate(held[place] for held in self._facts):
                usual = np.array([counts.get(value, 0) for value in values.tolist()])
                known = len(counts) + np.cumsum((usual[codes] == 0) & (here == 1))
                total = sum(counts.values()) + np.arange(1, len(films) + 1)
                gains[:, number, place] = total / ((usual[codes] + here) * (known + 1))
                for value, more in zip(values.tolist(), so_far[-1].tolist(), strict=True):
                    counts[value] = counts.get(value, 0) + more
        return gains

    def _traits(self, wealth: Floats) -> list[str]:
        """By which films differ from the kind that they are least unlike."""
        least = wealth[wealth.sum(1).argmin()]
        on_numbers = least[: -len(FACTS)].reshape(len(self._bets), -1).sum(0)
        won = np.concatenate([on_numbers, least[-len(FACTS) :]])
        names = [*self._names, *FACTS]
        best = [int(place) for place in np.argsort(-won, kind="stable")[:NAMED]]
        return [names[place] for place in best if won[place] > 0.01 * won[best[0]]]


def _bets(weights: Floats) -> Floats:
    """What each bet pays at each place, (bets, kinds, numbers, places): on higher numbers, on lower ones, on both ends,
    and on the middle. Where there are no places nothing is paid.
    """
    total = weights.sum(-1, keepdims=True)
    below = np.clip((np.cumsum(weights, -1) - weights / 2) / total, 1e-9, 1 - 1e-9)
    outer = 2 * np.minimum(below, 1 - below)
    bets = [shares**-steepness for steepness in STEEPNESS for shares in (1 - below, below, outer)]
    return np.where(weights > 0, np.stack([*bets, outer]), 0.0)


def _shaped(values: Any, like: NDArray[Any]) -> NDArray[Any]:
    made = np.array(values, like.dtype)
    if made.shape != like.shape:
        raise ValueError("another shape")
    return made
