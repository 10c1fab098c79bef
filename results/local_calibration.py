"""What calibrating a bundle to films of one's own is worth, by how many of them there are: curves on real films.

    python results/local_calibration.py BUNDLE FILMS.parquet CACHE PICTURE.png > results/local-calibration.csv

FILMS.parquet is what results/hilum_data.py writes. Kermany's official test films (children) and the NIH films of
results/adult-test.csv (adults) are judged once; what the bundle says of them is kept in the folder CACHE by its digest.
Then 20 times each set is halved by patients: of one half so many films calibrate, the other half judges. The wish is a
sensitivity of 0.95 at the point `sensitive` and a specificity of 0.95 at `specific`.
Counts below what `hilum calibrate` asks for are tried as well: so one sees why it refuses them.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import matplotlib
import numpy as np
import polars as pl

import hilum
from hilum.bundle.card import Card
from hilum.bundle.predictor import Predictor
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import judge
from hilum.evaluation.predictions import Predictions, load_predictions, save_predictions
from hilum.export.calibrate import Goals
from hilum.export.local.films import sample_of
from hilum.export.local.fitting import Answers, applied, as_given, fit
from hilum.export.local.line import Sample, both_kinds
from hilum.measures.films.calibration import bins_of_equal_count, expected_error
from hilum.radiograph.patient import Patient

COUNTS = (25, 50, 100, 200, 400)
WHOLE = -1  # all films of a half
SPLITS = 20
WISH = Goals(0.95, 0.95, of_new_films=True)
SETS: dict[str, tuple[str, Patient]] = {
    "children: Kermany's official test": ("kermany", "child"),
    "adults: NIH": ("nih", "adult"),
}
FIGURES = ("sensitivity", "specificity", "ece")


class Row(NamedTuple):
    """A figure over the splits: mean, and what 9 of 10 of them lie between. `films` is 0 for the bundle as it is."""

    films_of: str
    films: int
    with_pneumonia: float
    splits: int
    figure: str
    wish: float | None
    mean: float
    low: float
    high: float


def main() -> None:
    bundle, films, cache, picture = sys.argv[1:]
    predictor, manifest = hilum.load(bundle), load_manifest(films)
    rows: list[Row] = []
    for name, (source, patient) in SETS.items():
        said = predictions(predictor, manifest, source, Path(cache))
        rows += study(name, predictor.card, said, patient)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(Row._fields)
    writer.writerows([round(cell, 4) if isinstance(cell, float) else cell for cell in row] for row in rows)
    draw(rows, Path(picture))


def predictions(predictor: Predictor, manifest: Manifest, source: str, cache: Path) -> Predictions:
    """What the bundle says of the test films of a source, judged once."""
    path = cache / f"{source}-{predictor.digest[:8]}.csv"
    if not path.is_file():
        own = Manifest(manifest.table.filter(pl.col("source") == source), manifest.folder)
        cache.mkdir(parents=True, exist_ok=True)
        save_predictions(judge(predictor, DataSet(own, source)).predictions, path)
    return load_predictions(path)


def study(name: str, card: Card, said: Predictions, patient: Patient) -> Iterator[Row]:
    """Rows of one set: films that the gate lets through and that are judged as of this group of patients."""
    own = np.array([each == patient for each in said.patient_groups or [patient] * len(said)])
    kept = sample_of(said, card).take(own & ~said.turned_away)
    points = card.group(patient).operating_points if card.groups else card.operating_points
    found: dict[int, list[tuple[float, ...]]] = {}
    sick: dict[int, list[int]] = {}
    for seed in range(SPLITS):
        fitting, judging = halves(kept, seed)
        found.setdefault(0, []).append(figures(as_given(judging, points), judging))
        for count in (*(each for each in COUNTS if each < least_half(kept)), WHOLE):
            few = fitting if count == WHOLE else take_films(fitting, count, seed)
            if both_kinds(few.truth):
                found.setdefault(count, []).append(figures(applied(judging, fit(few, WISH, seed)), judging))
                sick.setdefault(count, []).append(int(few.truth.sum()))
    for count, each in found.items():
        for place, figure in enumerate(FIGURES):
            values = np.array([row[place] for row in each])
            low, high = np.quantile(values, [0.05, 0.95])
            wish = None if figure == "ece" else 0.95
            films = len(kept.truth) // 2 if count == WHOLE else count
            mean_sick = float(np.mean(sick.get(count, [0])))
            yield Row(name, films, mean_sick, len(each), figure, wish, float(values.mean()), float(low), float(high))


def least_half(films: Sample) -> int:
    """How many films the smallest half has."""
    return min(len(part.truth) for seed in range(SPLITS) for part in halves(films, seed))


def halves(films: Sample, seed: int) -> tuple[Sample, Sample]:
    """By patients: to fit, to judge."""
    known = np.unique(films.patients)
    order = np.random.default_rng(seed).permutation(known)
    first = np.isin(films.patients, order[: len(order) // 2])
    return films.take(first), films.take(~first)


def take_films(films: Sample, count: int, seed: int) -> Sample:
    """So many films, as they come."""
    return films.take(np.random.default_rng(1000 + seed).permutation(len(films.truth))[:count])


def figures(answers: Answers, films: Sample) -> tuple[float, ...]:
    """In the order of FIGURES."""
    return (
        float(answers.called["sensitive"][films.truth].mean()),
        float((~answers.called["specific"])[~films.truth].mean()),
        expected_error(bins_of_equal_count(answers.probability, films.truth)),
    )


def draw(rows: list[Row], path: Path) -> None:
    """A panel a figure: the mean over splits, and where 9 of 10 lie."""
    matplotlib.use("agg")
    from matplotlib import pyplot

    titles = {"sensitivity": "Sensitivity at “sensitive”", "specificity": "Specificity at “specific”", "ece": "ECE"}
    canvas, panels = pyplot.subplots(1, 3, figsize=(13, 4.2), layout="constrained")
    for axes, figure in zip(panels, FIGURES, strict=True):
        for color, name in zip(("#0b57b1", "#b4531a"), SETS, strict=True):
            own = sorted(
                (row for row in rows if (row.films_of, row.figure) == (name, figure)), key=lambda row: row.films
            )
            before, after = own[0], own[1:]
            at = [row.films for row in after]
            axes.plot(at, [row.mean for row in after], "o-", color=color, label=name)
            axes.fill_between(at, [row.low for row in after], [row.high for row in after], color=color, alpha=0.15)
            axes.axhline(before.mean, color=color, linestyle=":", linewidth=1.5, label=f"{name}, as it is")
        if figure != "ece":
            axes.axhline(0.95, color="#5a6473", linewidth=1)
            axes.set_ylim(0.6, 1.01)
        else:
            axes.set_ylim(0, None)
        axes.set(xscale="log", title=titles[figure], xlabel="films that calibrate")
        ticks = sorted({row.films for row in rows if row.films})
        axes.set_xticks(ticks, [str(tick) for tick in ticks], rotation=45)
        axes.minorticks_off()
        axes.grid(True, color="#d9dde4")
    panels[0].legend(loc="lower right", fontsize=8, frameon=False)
    path.parent.mkdir(parents=True, exist_ok=True)
    canvas.savefig(path, dpi=110, metadata={"Software": None})


if __name__ == "__main__":
    main()
