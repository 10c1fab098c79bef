"""Traits: the few numbers and facts of a film by which films are compared. None of them names a patient."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.drift.baseline import Axes, Floats
from hilum.bundle.drift.grays import GRAYS
from hilum.bundle.format import DISTANCE
from hilum.bundle.reading import GraphOutputs, Reading
from hilum.radiograph.patient import PATIENTS, Patient

SURE = 1e-6  # log odds of probabilities nearer to 0 or 1 say nothing
DIGITS = 4  # after the point, of numbers of which nearly all are within a few units
SIZES, SHAPES = 4, 8  # steps of sizes and of shapes from one to its double


@dataclass(frozen=True, slots=True, eq=False)
class Traits:
    """Of films, a row each: whom the network takes them to be of, numbers as a DriftCard names them, and FACTS.

    A bundle without a gate has no number for what the gate says: NaN.
    """

    patients: tuple[Patient | None, ...]
    numbers: Floats
    facts: tuple[tuple[str, ...], ...]

    def __len__(self) -> int:
        return len(self.patients)

    def take(self, rows: Sequence[int] | NDArray[np.int64]) -> Traits:
        """These films only, in this order."""
        chosen = [int(row) for row in rows]
        return Traits(
            tuple(self.patients[row] for row in chosen),
            self.numbers[chosen],
            tuple(self.facts[row] for row in chosen),
        )

    def of(self, patient: Patient | None) -> Traits:
        """Those of one group of patients."""
        return self.take([row for row, whose in enumerate(self.patients) if whose == patient])


def joined(parts: Sequence[Traits]) -> Traits:
    """The films of all parts, one after the other."""
    return Traits(
        tuple(patient for part in parts for patient in part.patients),
        np.concatenate([part.numbers for part in parts]),
        tuple(facts for part in parts for facts in part.facts),
    )


def traits_of(
    outputs: GraphOutputs, grays: Floats, facts: Sequence[tuple[str, ...]], axes: Axes, positive: Sequence[int]
) -> Traits:
    """From what a bundle's graph gives for films, their GRAYS and facts; `positive` classes mean pneumonia."""
    films = len(outputs.features)
    chances = outputs.probabilities[..., list(positive)].astype(np.float64).sum(-1)
    patients: tuple[Patient | None, ...] = (None,) * films
    if outputs.groups is not None:
        groups = outputs.groups.argmax(1)
        patients = tuple(PATIENTS[group] for group in groups)
        chances = chances[np.arange(films), groups]
    if outputs.gate is None:
        distance = turned = np.full(films, np.nan)
    else:
        distance = outputs.gate[:, DISTANCE].astype(np.float64)
        turned = _log_odds(outputs.gate[:, 2:].astype(np.float64).sum(1))
    numbers = np.column_stack([axes.project(outputs.features), _log_odds(chances), distance, turned, grays])
    # A card has short quantiles, and films that were alike when they were taken are alike ever after.
    return Traits(patients, numbers.round(DIGITS), tuple(facts))


def traits_of_readings(readings: Sequence[Reading], axes: Axes, positive: Sequence[int]) -> Traits:
    """The same of films that were looked at."""
    facts = [facts_of(reading.height, reading.width, reading.bits, reading.mode) for reading in readings]
    grays = np.array([reading.grays for reading in readings], np.float64).reshape(-1, len(GRAYS))
    return traits_of(_stacked(readings), grays, facts, axes, positive)


def facts_of(height: int | None, width: int | None, bits: int | None, mode: str | None) -> tuple[str, ...]:
    """How a film came: FACTS in their order, sizes and shapes in steps, so that a film is one of many.

    `mode` is the photometric interpretation of a DICOM file, and of a picture whether it is grey or in color.
    """
    kept = "unknown" if bits is None else str(bits), mode or "unknown"
    if height is None or width is None:  # a manifest may not know
        return "unknown", "unknown", *kept
    side = 2 ** (round(np.log2(min(height, width)) * SIZES) / SIZES)
    shape = 2 ** (round(np.log2(width / height) * SHAPES) / SHAPES)
    size, shown = f"about {float(f'{side:.3g}'):g} px", f"{shape:.2f} times as wide as high"
    return size, shown, *kept


def features_of(readings: Sequence[Reading]) -> NDArray[np.float32]:
    """What the network made of films, before any of it was an answer: (films, features)."""
    return np.stack([reading.features for reading in readings])


def _stacked(readings: Sequence[Reading]) -> GraphOutputs:
    """As if the graph had been run on all films at once, of what traits are made from."""
    gates = [reading.gate_row for reading in readings if reading.gate_row is not None]
    groups = [reading.groups for reading in readings if reading.groups is not None]
    return GraphOutputs(
        np.stack([reading.probabilities for reading in readings]),
        None,
        features_of(readings),
        np.stack(gates) if gates else None,
        groups=np.stack(groups) if groups else None,
    )


def _log_odds(probabilities: Floats) -> Floats:
    clipped = np.clip(probabilities, SURE, 1 - SURE)
    return np.log(clipped / (1 - clipped))
