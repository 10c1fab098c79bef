"""Whether films are enough to set a threshold by, and what to say where they are not."""

from __future__ import annotations

import math

from hilum.dataset.audit.finding import counted
from hilum.export.calibrate import Goals
from hilum.export.local.line import Line, Sample
from hilum.measures.bootstrap import Resampling, auroc_measure, bootstrap
from hilum.measures.figure import EvaluationError
from hilum.measures.films.binary import auroc
from hilum.measures.films.thresholds import FEWEST
from hilum.measures.intervals import percentiles


def needed(goal: float) -> int:
    """The fewest patients of a kind: of fewer, none may be missed and yet one of the next would be too many."""
    # 1 / (1 - 0.95) is a little more than 20.
    return max(FEWEST, math.ceil(1 / (1 - goal) - 1e-9) - 1)


def shortage(patients_with: int, patients_without: int, goals: Goals) -> str:
    """What is missing of patients with and without pneumonia, in words; empty where nothing is."""
    have = {True: patients_with, False: patients_without}
    need = {True: needed(goals.sensitivity), False: needed(goals.specificity)}
    if all(have[sick] >= need[sick] for sick in have):
        return ""
    return (
        f"films of {counted(have[True], 'patient')} with pneumonia and of {have[False]:,} without, where a sensitivity "
        f"of at least {goals.sensitivity:g} needs {need[True]:,} with and a specificity of at least "
        f"{goals.specificity:g} needs {need[False]:,} without"
    )


def check_order(films: Sample, resampling: Resampling) -> None:
    """Refuse films on which the bundle knows nothing: no threshold helps there."""
    probability = Line(1.0, 0.0, "offset").chances(films.odds)
    drawn = bootstrap(films.patients, [auroc_measure(probability, films.truth)], resampling)[:, 0]
    ends = percentiles(drawn)
    if ends is None or ends[0] <= 0.5:
        between = "" if ends is None else f", {ends[0]:.3f} to {ends[1]:.3f}"
        raise EvaluationError(
            f"the bundle tells these films with pneumonia from those without no better than chance (AUROC "
            f"{auroc(probability, films.truth):.3f}{between}), so no threshold helps; see whether labels and films "
            "belong together, or train with `hilum train --from`"
        )
