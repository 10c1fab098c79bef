"""What validation films looked like, put down on the card: the baseline that later films are set against."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.drift.baseline import DriftCard, fit_axes
from hilum.bundle.drift.fitting import fit_baseline
from hilum.bundle.drift.grays import grays_of
from hilum.bundle.drift.traits import facts_of, traits_of
from hilum.bundle.format import FEATURES, GATE, GROUPS, PROBABILITIES
from hilum.bundle.reading import GraphOutputs
from hilum.dataset.manifest.manifest import Manifest
from hilum.training.feed.examples import Examples

AXES_FILMS = 600  # training films that the axes are found on
NONE = "Validation has too few patients for a baseline of drift; `hilum drift` cannot be used with this bundle."

Given = Mapping[str, NDArray[np.float32]]


class OfFile(NamedTuple):
    """What a bundle's file gives for validation films and for some training films."""

    val: Given
    train: Given


def describe_films(
    manifest: Manifest, films: NDArray[np.uint8], val: Examples, of_file: OfFile, columns: list[int]
) -> DriftCard | None:
    """The baseline of validation films, one film of each patient, read along the axes of training films.

    `films` are those of the store, as they are placed; `columns` mean pneumonia. None where films are too few.
    """
    given, axes = of_file.val, fit_axes(of_file.train[FEATURES])
    if axes is None:
        return None
    wanted = ("patient", "source", "height", "width", "bits", "mode")
    known = {path: row for path, *row in manifest.table.select("path", *wanted).iter_rows()}
    rows = [known[path] for path in val.paths]
    first = sorted({row[0]: place for place, row in reversed([*enumerate(rows)])}.values())
    outputs = GraphOutputs(
        given[PROBABILITIES][first],
        None,
        given[FEATURES][first],
        given[GATE][first] if GATE in given else None,
        groups=given[GROUPS][first] if GROUPS in given else None,
    )
    facts = [facts_of(*rows[place][2:]) for place in first]
    grays = np.concatenate([grays_of(films[row : row + 1]) for row in val.rows[first]])
    return fit_baseline(traits_of(outputs, grays, facts, axes, columns), [rows[place][1] for place in first], axes)
