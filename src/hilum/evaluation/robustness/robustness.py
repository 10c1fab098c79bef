"""A bundle judges films as they are and as they may come out otherwise, through the Predictor like any others.

All figures are of the same films, whatever the gate says of them: how many it would turn away stands beside them.
Otherwise a change that makes it abstain would look harmless, or the other way round.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import polars as pl
from numpy.typing import ArrayLike

from hilum.bundle.asked import Asked
from hilum.bundle.prediction import Answered
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.dataset.patients import patients_of
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.guard import choose, refuse_seen, seen_films
from hilum.evaluation.judge import with_digests, with_truth
from hilum.evaluation.robustness.changes import CHANGES, Change, changed
from hilum.measures.bootstrap import SEED, USUAL, Measure, Resampling, auroc_measure, bootstrap, total_measure
from hilum.measures.figure import Bools, EvaluationError, Floats
from hilum.measures.films.binary import Counts, auroc, sensitivity, specificity
from hilum.measures.intervals import percentiles
from hilum.radiograph import Radiograph, ReadError, read

FILMS = 200  # of which 80 variations take a quarter of an hour on two cores
AS_IT_IS = "as it is"
Ends = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Row:
    """Figures of all films after one change. `mean_change` is that of the probability, up or down; `mean_shift` keeps
    the sign.

    The last three are 95% intervals of what the change does to a figure, by the bootstrap over patients, paired with
    the films as they are; None where films of a class are too few.
    """

    change: str
    strength: float | str
    films: int
    auroc: float
    sensitivity: float
    specificity: float
    mean_change: float
    mean_shift: float
    turned_away: float
    auroc_gain: Ends | None = None
    sensitivity_gain: Ends | None = None
    specificity_gain: Ends | None = None


@dataclass(frozen=True, slots=True)
class Robustness:
    """What came of it: the films as they are, and a row for each change and strength. `bundle` is the bundle's digest,
    `data` the manifest's; `unreadable` counts films that were drawn and could not be read."""

    model: str
    file: str
    bundle: str
    manifest: str
    data: str
    split: str
    operating_point: str
    patients: int
    seed: int
    unreadable: int
    as_is: Row
    rows: list[Row]

    def of(self, change: Change) -> list[Row]:
        """The rows of a change, in the order of its strengths."""
        return [row for row in self.rows if row.change == change.name]


class Judged(NamedTuple):
    """Of each film its probability, the decision, and whether the gate turns it away."""

    probability: Floats
    called: Bools
    away: Bools


@dataclass(frozen=True, slots=True)
class Drawn:
    """Which films are taken: so many of a split, by chance, the same ones for the same seed."""

    split: str = "test"
    films: int = FILMS
    seed: int = SEED


def measure_robustness(
    model: Predictor, data: DataSet, drawn: Drawn, on_progress: Callable[[int, int], None] = lambda done, total: None
) -> Robustness:
    """Films that the bundle has not seen, as they are and after every change, at its default operating point.

    Raises EvaluationError where the bundle was trained on them, or they do not show both classes.
    """
    films = _draw(model, data, drawn)
    variants = _variants()
    rows: list[int] = []  # of the films that could be read
    judged: list[list[Answered]] = []
    away: list[list[bool]] = []
    # As a user would who knows whose film it is, where the manifest does: a changed film has no header that says it.
    whose = patients_of(films) if model.card.groups else [None] * films.height
    asked = [Asked(gate=False, heatmaps=False, patient=patient) for patient in whose]
    made = _made(films, data, variants, rows)
    for number, reading in enumerate(model.readings(made)):
        film, place = divmod(number, len(variants))
        answer = model.decide(reading, asked[rows[film]])
        if not isinstance(reading, Reading) or not isinstance(answer, Answered):
            raise EvaluationError(f"{films['path'][rows[film]]}: the bundle gives no probability; export it again")
        if place == 0:
            judged.append([])
            away.append([])
        judged[-1].append(answer)
        away[-1].append(not reading.gate.passed)
        on_progress(number + 1, films.height * len(variants))
    if not rows:
        raise EvaluationError(f"none of the {films.height:,} films could be read; `hilum inspect` says why")
    kept = films[rows]
    truth, patients = kept["truth"].to_numpy().astype(np.bool_), kept["patient"].to_numpy()
    if truth.all() or not truth.any():
        raise EvaluationError(
            f"all {kept.height:,} films are {'with' if truth.all() else 'without'} pneumonia; take more with --films"
        )
    by_variant = [
        Judged(
            np.array([answers[place].probability for answers in judged], np.float64),
            np.array([answers[place].decision == "pneumonia" for answers in judged]),
            np.array([verdicts[place] for verdicts in away]),
        )
        for place in range(len(variants))
    ]
    as_is, *others = by_variant
    gains = _gains(by_variant, truth, patients, USUAL._replace(seed=drawn.seed))
    return Robustness(
        model=model.card.title or model.card.name,
        file=model.path.name,
        bundle=model.digest,
        manifest=data.name,
        data=data.manifest.digest,
        split=drawn.split,
        operating_point=model.card.default_point,
        patients=len(np.unique(patients)),
        seed=drawn.seed,
        unreadable=films.height - kept.height,
        as_is=Row(AS_IT_IS, "", *_measured(as_is, as_is, truth)),
        rows=[
            Row(change.name, strength, *_measured(each, as_is, truth), *gain)
            for (change, strength), each, gain in zip(variants[1:], others, gains, strict=True)
        ],
    )


def _draw(model: Predictor, data: DataSet, drawn: Drawn) -> pl.DataFrame:
    rows = with_digests(data.manifest, choose(data.manifest, drawn.split))
    known = with_truth(model.card, rows)
    if not known.height:
        raise EvaluationError(f"no film of split {drawn.split} has a label that says whether it shows pneumonia")
    refuse_seen(seen_films(model.card, known), known.height, drawn.split)
    order = np.random.default_rng(drawn.seed).permutation(known.height)
    drawn_rows: pl.DataFrame = known[np.sort(order[: drawn.films]).tolist()]
    return drawn_rows


def _variants() -> list[tuple[Change, float | str]]:
    """The film as it is, and every change at every strength."""
    same = Change(AS_IT_IS, "", None, (), lambda pixels, strength, number: pixels)
    return [(same, ""), *((change, strength) for change in CHANGES for strength in change.strengths)]


def _made(
    films: pl.DataFrame, data: DataSet, variants: list[tuple[Change, float | str]], rows: list[int]
) -> Iterator[Radiograph]:
    """Each film read once and changed in every way; what cannot be read is left out. `rows` are those that could be."""
    for row, path in enumerate(films["path"].to_list()):
        try:
            film = read(data.manifest.path(path))
        except (ReadError, OSError):
            continue
        rows.append(row)
        for change, strength in variants:
            yield changed(change, strength, film, row) if change.name != AS_IT_IS else film


def _measured(judged: Judged, as_is: Judged, truth: Bools) -> tuple[int, float, float, float, float, float, float]:
    """The figures of a Row, in its order."""
    moved = judged.probability - as_is.probability
    return (
        len(truth),
        auroc(judged.probability, truth),
        float(judged.called[truth].mean()),
        float((~judged.called)[~truth].mean()),
        float(np.abs(moved).mean()),
        float(moved.mean()),
        float(judged.away.mean()),
    )


def _gains(
    by_variant: list[Judged], truth: Bools, patients: ArrayLike, resampling: Resampling
) -> list[list[Ends | None]]:
    """Of each change the intervals of AUROC, sensitivity and specificity less those of the films as they are.

    All see the same resamples, so what makes the films hard as they are cancels out.
    """
    measures: list[Measure] = []
    for judged in by_variant:
        kinds = (truth & judged.called, ~truth & judged.called, truth & ~judged.called, ~truth & ~judged.called)
        measures += [auroc_measure(judged.probability, truth), *map(total_measure, kinds)]
    drawn = bootstrap(patients, measures, resampling).reshape(resampling.resamples, len(by_variant), 5)
    counts = [Counts(*drawn[:, place, 1:].T) for place in range(len(by_variant))]
    figures = [
        (drawn[:, place, 0], sensitivity(counts[place]), specificity(counts[place])) for place in range(len(by_variant))
    ]
    return [[percentiles(new - old) for new, old in zip(each, figures[0], strict=True)] for each in figures[1:]]
