"""What films of one's own make of a bundle: the fits, group by group, and what they change."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from hilum.bundle.card import BundleError, Card, GateCard, OperatingPoint
from hilum.bundle.drift.baseline import DriftCard
from hilum.bundle.drift.fitting import local_baseline
from hilum.bundle.reading import Reading
from hilum.export.calibrate import Goals
from hilum.export.local.enough import check_order, shortage
from hilum.export.local.films import LocalFilms, sample_of
from hilum.export.local.fitting import Answers, Change, Fit, as_given, changes, fit, left_out
from hilum.export.local.gate_limit import FEWEST_FILMS, GateFit, distances_of, fit_limit, judged_by_distance
from hilum.export.local.line import Line, Sample
from hilum.measures.bootstrap import USUAL, Resampling
from hilum.measures.figure import Bools, EvaluationError
from hilum.radiograph.patient import Patient

POINT_OF = {"sensitivity": "sensitive", "specificity": "specific"}
WHOSE = {"child": "children", "adult": "adults"}


class Wish(NamedTuple):
    """What is wanted: goals of the points, the point that becomes the default (None: as it is), with labels or without,
    digests of films kept or not."""

    goals: Goals = Goals(of_new_films=True)
    point: str | None = None
    labeled: bool = True
    keep_digests: bool = False
    resampling: Resampling = USUAL

    @classmethod
    def of(cls, targets: Mapping[str, float], labeled: bool, keep_digests: bool, resampling: Resampling) -> Wish:
        """From what a user asks for."""
        for figure, share in targets.items():
            if figure not in POINT_OF:
                raise EvaluationError(f"no threshold is set by {figure}; name sensitivity or specificity")
            if not 0 < share < 1:
                raise EvaluationError(f"a {figure} of {share:g} cannot be promised; name one between 0 and 1, as 0.95")
        if targets and not labeled:
            raise EvaluationError("without labels no threshold is set; leave the target out, or label films")
        point = POINT_OF[next(iter(targets))] if targets else None
        return cls(Goals(**targets, of_new_films=True), point, labeled, keep_digests, resampling)


class Part(NamedTuple):
    """Of all films, or of those of one group of patients: the fit, and what is said of them before it and by fits to
    films of other patients."""

    patient: Patient | None
    films: Sample
    was: list[OperatingPoint]
    fit: Fit
    before: Answers
    after: Answers
    changes: list[Change]


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """Everything that was fitted. `kept` says of groups of patients why they stay as they were; `gate` and `drift` are
    None where limit and baseline stay, and `why_no_gate` and `why_no_drift` say why; `turned_away` counts films."""

    parent: Card
    digest: str
    seen: LocalFilms
    wish: Wish
    parts: list[Part]
    kept: list[str]
    gate: GateFit | None
    why_no_gate: str
    drift: DriftCard | None
    why_no_drift: str
    turned_away: int


def fit_bundle(card: Card, digest: str, seen: LocalFilms, wish: Wish) -> Outcome:
    """Refuses films that are too few for any threshold, or that the bundle cannot tell apart."""
    gate, why_no_gate = _gate(card.gate, seen)
    passed = _passed(card.gate, seen, gate)
    parts, kept = _parts(card, seen, wish, passed) if wish.labeled else ([], [])
    drift, why_no_drift = _drift(card, seen, {part.patient: part.fit.line for part in parts}, gate)
    if not wish.labeled and gate is None and drift is None:
        raise EvaluationError(f"{seen.name}: {why_no_gate}; {why_no_drift}: there is nothing to fit")
    away = int((~passed).sum())
    return Outcome(card, digest, seen, wish, parts, kept, gate, why_no_gate, drift, why_no_drift, away)


def _gate(card: GateCard | None, seen: LocalFilms) -> tuple[GateFit | None, str]:
    if card is None:
        return None, "the bundle has no gate"
    if not seen.readings:
        return None, "the gate's limit stays: these films were judged before, without their distances"
    distances = distances_of(seen.readings)[judged_by_distance(seen.readings, card)]
    if (made := fit_limit(distances)) is not None:
        return made, ""
    return None, too_few_for_the_gate(len(distances))


def _drift(
    card: Card, seen: LocalFilms, lines: Mapping[Patient | None, Line], gate: GateFit | None
) -> tuple[DriftCard | None, str]:
    """The baseline of drift, of one film of each patient, as the new bundle will see them."""
    if not seen.readings:
        return None, "the baseline of drift stays: these films were judged before, and what they look like was not kept"
    first = {patient: row for row, patient in reversed([*enumerate(seen.patients)])}
    limit = 1.0 if gate is None else gate.limit
    changed = [as_changed(seen.readings[row], card, lines, limit) for row in sorted(first.values())]
    try:
        return local_baseline(card, changed, seen.source), ""
    except BundleError as error:
        return None, f"the baseline of drift stays: {error}"


def as_changed(reading: Reading, card: Card, lines: Mapping[Patient | None, Line], limit: float) -> Reading:
    """What the new bundle would have read of a film."""
    positive = np.array([name in card.positive for name in card.classes])
    rows = np.atleast_2d(reading.probabilities.astype(np.float64))
    for number, patient in enumerate([group.name for group in card.groups] or [None]):
        if (line := lines.get(patient)) is not None:
            rows[number] = line.shares(rows[number], positive)
    gate_row = reading.gate_row
    if gate_row is not None:
        gate_row = np.concatenate([gate_row[:1] / np.float32(limit), gate_row[1:]])
    made = rows.reshape(reading.probabilities.shape).astype(np.float32)
    return replace(reading, probabilities=made, gate_row=gate_row)


def too_few_for_the_gate(films: int) -> str:
    """Why the limit stays."""
    return f"the gate's limit stays: {films:,} upright frontal films are fewer than the {FEWEST_FILMS:,} that it needs"


def _passed(card: GateCard | None, seen: LocalFilms, gate: GateFit | None) -> Bools:
    """The films that the gate lets through, at its new limit where it has one."""
    if not seen.readings:
        assert seen.predictions is not None
        return ~seen.predictions.turned_away
    if card is None or gate is None:
        return np.array([reading.gate.passed is not False for reading in seen.readings], np.bool_)
    return judged_by_distance(seen.readings, card) & (distances_of(seen.readings) <= gate.limit)


def _parts(card: Card, seen: LocalFilms, wish: Wish, passed: Bools) -> tuple[list[Part], list[str]]:
    assert seen.predictions is not None
    parts: list[Part] = []
    kept: list[str] = []
    whose: list[Patient | None] = [group.name for group in card.groups] or [None]
    everyone = sample_of(seen.predictions, card)
    for patient in whose:
        own = np.array([patient is None or each == patient for each in seen.predictions.patient_groups or passed])
        films = everyone.take(passed & own)
        short = shortage(films.patients_with(True), films.patients_with(False), wish.goals)
        if short:
            kept.append(short if patient is None else f"{WHOSE[patient]}: {short}")
            continue
        check_order(films, wish.resampling)
        was = card.operating_points if patient is None else card.group(patient).operating_points
        before, after = as_given(films, was), left_out(films, wish.goals, wish.resampling.seed)
        made = changes(before, after, films, wish.resampling)
        parts.append(Part(patient, films, was, fit(films, wish.goals, wish.resampling.seed), before, after, made))
    if not parts:
        raise EvaluationError(
            f"{seen.name}, split {seen.split}, what the gate lets through: {'; '.join(kept)}; label more films "
            "(`hilum calibrate --plan` says how many make a figure how sure), or fit the gate alone with --unlabelled"
        )
    return parts, kept
