"""What validation films looked like, put down on the card: the baseline that later films are set against."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from hilum.bundle.drift.baseline import DriftCard, fit_axes
from hilum.bundle.drift.fitting import fit_baseline
from hilum.bundle.drift.traits import facts_of, traits_of
from hilum.bundle.format import FEATURES, GATE, GROUPS, PROBABILITIES
from hilum.bundle.reading import GraphOutputs
from hilum.dataset.manifest.manifest import Manifest
from hilum.training.feed.examples import Examples

AXES_FILMS = 600  # training films that the axes are found on
NONE = "Validation has too few patients for a baseline of drift; `hilum drift` cannot be used with this bundle."

Given = Mapping[str, NDArray[np.float32]]


def describe_films(
    manifest: Manifest, val: Examples, given: Given, columns: list[int], of_training: Given
) -> DriftCard | None:
    """The baseline of validation films, of which a bundle's file gives `given`, one film of each patient.

    `of_training` is what it gives for training films, along whose axes they are read; `columns` mean pneumonia. None
    where films are too few.
    """
    axes = fit_axes(of_training[FEATURES])
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
    return fit_baseline(traits_of(outputs, facts, axes, columns), [rows[place][1] for place in first], axes)
