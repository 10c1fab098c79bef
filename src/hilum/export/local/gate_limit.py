"""The gate's limit for films of one's own: how far from the training films one of them may lie."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from hilum.bundle.card import GateCard
from hilum.bundle.format import DISTANCE
from hilum.bundle.gate import not_upright
from hilum.bundle.reading import Reading
from hilum.measures.figure import Bools, Floats

REJECTED = 0.01  # of films of one's own, on average over new ones; as an export has it of varied validation films
FEWEST_FILMS = math.ceil(1 / REJECTED) - 1
# What lies farther than this from the training films is not taken for a film of their kind, whoever sends it.
FARTHEST = 2.0


class GateFit(NamedTuple):
    """`limit` is in units of the bundle's own; shares are of the films it was fitted to."""

    limit: float
    films: int
    turned_away_before: float
    turned_away_after: float


def distances_of(readings: Sequence[Reading]) -> Floats:
    """How far films lie from the training films, in units of the bundle's own limit."""
    return np.array([np.nan if reading.gate_row is None else reading.gate_row[DISTANCE] for reading in readings])


def judged_by_distance(readings: Sequence[Reading], card: GateCard) -> Bools:
    """The films that nothing but their distance may turn away: they are upright and frontal."""
    return np.array(
        [
            (reading.gate.passed or reading.gate.reason == "not_a_chest_film")
            and reading.gate_row is not None
            and not_upright(reading.gate_row) <= card.turned_limit
            for reading in readings
        ],
        np.bool_,
    )


def fit_limit(distances: Floats) -> GateFit | None:
    """The distance that new films of the same kind exceed seldom enough; None where the films are too few to say."""
    beyond = math.floor(REJECTED * (len(distances) + 1)) - 1  # of these films
    if beyond < 0:
        return None
    farthest = np.sort(distances)[::-1]
    limit = min(float(farthest[beyond]) * (1 + 1e-6), FARTHEST)
    before, after = (float((distances > edge).mean()) for edge in (1.0, limit))
    return GateFit(limit, len(distances), before, after)
