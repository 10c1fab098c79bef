"""hilum drift: films set against what a bundle's own looked like, and which of them lie the farthest out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hilum import __version__
from hilum.bundle.card import Card
from hilum.bundle.drift.baseline import FACTS, DriftCard, Kind
from hilum.bundle.drift.comparison import FEWEST, LEVEL, Comparison, TraitShift, compare, strangeness
from hilum.bundle.drift.grays import GRAYS
from hilum.bundle.drift.monitor import Monitor
from hilum.bundle.prediction import RESEARCH_USE
from hilum.evaluation.drift.judged import JudgedFilms
from hilum.measures.figure import EvaluationError, Floats

FARTHEST = 12  # films that are shown
OUT = 3.0  # spreads from the median, where a film's number is worth a word
MOST_OUT = 20.0  # beyond it one number alone would make a film the farthest


@dataclass(frozen=True, slots=True)
class FarFilm:
    """A film that lies far out: `row` among the films, how far in spreads of the baseline over all its numbers, and by
    which numbers and facts.
    """

    row: int
    distance: float
    why: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """What came of it. `films_name` is their folder's or file's own name, `bundle` the digest of what judged them."""

    title: str
    file: str
    bundle: str
    films_name: str
    judged: JudgedFilms
    baseline: DriftCard
    comparison: Comparison
    farthest: tuple[FarFilm, ...]

    @property
    def alarms(self) -> bool:
        """Whether films are of another kind; wrong for at most one in twenty sets of films of the same kind."""
        return self.comparison.alarms


def measure_drift(card: Card, bundle: str, file: str, films_name: str, judged: JudgedFilms) -> Drift:
    """Compare judged films with the baseline on the card. Raises EvaluationError where there are too few of them."""
    assert card.drift is not None
    found = compare(judged.traits, card.drift)
    if not found.groups and not found.strangers.alarms:
        raise EvaluationError(
            f"{len(judged.paths):,} films are too few to compare; give at least {FEWEST} that the network takes to be "
            f"of {_whose(card.drift)}"
        )
    far = far_films(judged, card.drift, found, FARTHEST)
    return Drift(card.title or card.name, file, bundle, films_name, judged, card.drift, found, far)


def of_which_kind(shift: TraitShift) -> str:
    """Whether the network sees a trait, it is of the film's gray levels, or of how it was stored."""
    if shift.trait in FACTS:
        return "stored"
    return "gray levels" if shift.trait in GRAYS else "seen"


def as_plain(made: Drift | None, monitor: Monitor | None) -> dict[str, Any]:
    """For programs."""
    plain: dict[str, Any] = {"hilum": __version__, "research_use": RESEARCH_USE}
    if made is not None:
        plain |= {
            "bundle": made.bundle,
            "drift": made.alarms,
            "films": len(made.judged.paths),
            "failed": len(made.judged.failures),
            "not_compared": made.comparison.skipped,
            "strangers": {**asdict(made.comparison.strangers), "drift": made.comparison.strangers.alarms},
            "level": LEVEL,
            "groups": [
                {
                    "patient_group": group.patient,
                    "films": group.films,
                    "kind": group.kind.source,
                    "kind_films": group.kind.films,
                    "drift": group.alarms,
                    "traits": [_plain(shift) for shift in group.shifts],
                }
                for group in made.comparison.groups
            ],
            "farthest": [
                {"film": made.judged.paths[far.row], "distance": round(far.distance, 2), "why": list(far.why)}
                for far in made.farthest
            ],
        }
    if monitor is not None:
        plain["watch"] = monitor.to_dict()
    return plain


def rows_of(made: Drift) -> list[dict[str, Any]]:
    """One row a trait of each group of patients."""
    return [
        {"patient_group": group.patient, "kind": group.kind.source, **_plain(shift)}
        for group in made.comparison.groups
        for shift in group.shifts
    ]


def _plain(shift: TraitShift) -> dict[str, Any]:
    return {
        "trait": shift.trait,
        "of": of_which_kind(shift),
        "p": round(shift.p, 6),
        "apart": round(shift.apart, 4),
        "usual": _rounded(shift.usual),
        "median": _rounded(shift.median),
        "value": shift.value,
    }


def far_films(judged: JudgedFilms, baseline: DriftCard, found: Comparison, most: int) -> tuple[FarFilm, ...]:
    """The farthest of all groups together, each film against the kind that its group is least unlike."""
    names, traits = baseline.names, judged.traits
    far: list[FarFilm] = []
    for group in found.groups:
        rows = [row for row, patient in enumerate(traits.patients) if patient == group.patient]
        out = strangeness(traits.take(rows), group.kind, names)
        distances = np.sqrt(np.square(np.clip(out, -MOST_OUT, MOST_OUT)).mean(1))
        for place in np.argsort(-distances, kind="stable")[:most].tolist():
            why = (*_far_numbers(out[place], names), *_new_facts(traits.facts[rows[place]], group.kind))
            far.append(FarFilm(rows[place], float(distances[place]), why))
    return tuple(sorted(far, key=lambda film: -film.distance)[:most])


def _far_numbers(out: Floats, names: Sequence[str]) -> list[str]:
    order = [int(column) for column in np.argsort(-np.abs(out), kind="stable")[:3] if abs(out[column]) >= OUT]
    return [f"{names[column]} {_signed(out[column])}" for column in order]


def _new_facts(facts: Sequence[str], kind: Kind) -> list[str]:
    return [f"{name} {fact}" for name, fact in zip(FACTS, facts, strict=True) if fact not in kind.facts[name]]


def _signed(spreads: float) -> str:
    if abs(spreads) > MOST_OUT:
        return f"{'above' if spreads > 0 else 'below'} by more than {MOST_OUT:g} spreads"
    return f"{'above' if spreads > 0 else 'below'} by {abs(spreads):.1f} spreads"


def _whose(baseline: DriftCard) -> str:
    whose = {None: "anyone", "child": "children", "adult": "adults"}
    return " or of ".join(whose[patient] for patient in baseline.patients)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 4)
