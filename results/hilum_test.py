"""The one model on films that it never saw, beside what was wanted of it: a row a figure.

    python results/hilum_test.py BUNDLE FILMS.parquet FOLDER > results/hilum-test.csv

FILMS.parquet is what results/hilum_data.py writes of FOLDER. Children are Kermany's official test films; adults are the
NIH films of results/adult-test.csv, SIIM's fold 0 and the whole RSNA films of results/rsna-test.csv. Everything was
fixed on validation. AP films are of sicker patients than PA films, so a network that knows one from the other looks
good on both together: they are judged apart, too. RSNA's whole films are normal or have an opacity, which is much
easier to tell than where a third kind of film is neither. Intervals are of 95%, over patients.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

import hilum
from hilum import Asked
from hilum.bundle.predictor import Predictor
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import Judgement, judge
from hilum.evaluation.measure_boxes import measure_boxes
from hilum.measures.bootstrap import USUAL
from hilum.measures.figure import Bools, Figure
from hilum.measures.films.binary import binary_figures
from hilum.measures.films.calibration import calibration
from hilum.measures.films.multiclass import by_class
from hilum.measures.intervals import share

CHILDREN, NIH, SIIM, RSNA = (
    "children: Kermany's official test",
    "adults: NIH, lung opacity against all others",
    "adults: SIIM fold 0, any appearance of pneumonia against none",
    "adults: RSNA, lung opacity against normal",
)
SOURCES = {"kermany": CHILDREN, "nih": NIH, "siim-covid": SIIM, "rsna": RSNA}
AGAINST_NORMAL = "adults: NIH, lung opacity against normal"
FULL_SIZE = "children: full-size originals, whose small copies were trained on"
WANTED: dict[tuple[str, str], float] = {
    (CHILDREN, "auroc"): 0.99,
    (CHILDREN, "accuracy"): 0.945,
    (CHILDREN, "sensitivity"): 0.97,
    (CHILDREN, "specificity"): 0.90,
    (CHILDREN, "kinds right"): 0.89,
    (CHILDREN, "ece"): 0.04,
    (AGAINST_NORMAL, "auroc"): 0.98,
    (NIH, "auroc"): 0.92,
    (f"{NIH}, PA films", "auroc"): 0.90,
    (f"{NIH}, AP films", "auroc"): 0.89,
    (NIH, "sensitivity"): 0.85,
    (NIH, "specificity"): 0.85,
    (SIIM, "auroc"): 0.905,
    (SIIM, "map_50"): 0.45,
    (SIIM, "rsna_score"): 0.30,
    (RSNA, "auroc"): 0.98,
    (RSNA, "map_50"): 0.33,
    (RSNA, "rsna_score"): 0.27,
}


class Row(NamedTuple):
    """One figure; `wanted` is empty where nothing was asked for."""

    films_of: str
    films: int
    positive: int
    figure: str
    value: float | None
    low: float | None
    high: float | None
    wanted: float | None


def main() -> None:
    predictor, films, folder = hilum.load(sys.argv[1]), load_manifest(sys.argv[2]), Path(sys.argv[3])
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(Row._fields)
    for source, name in SOURCES.items():
        own = Manifest(films.table.filter(pl.col("source") == source), films.folder)
        judged = judge(predictor, DataSet(own, source))
        for part, rows in parts(judged, name).items():
            for row in rows_of(judged, part, rows):
                writer.writerow([round(cell, 4) if isinstance(cell, float) else cell for cell in row])
        sys.stdout.flush()
    writer.writerows(full_size(predictor, folder))


def parts(judged: Judgement, name: str) -> dict[str, Bools]:
    """The films that belong together, by name."""
    label, view = judged.films["label"].to_numpy(), judged.films["view"].to_numpy()
    whole = np.ones(len(label), np.bool_)
    if name != NIH:
        return {name: whole}
    by_view = {f"{NIH}, {kind} films": view == kind for kind in ("PA", "AP")}
    return {AGAINST_NORMAL: label != "not_normal", NIH: whole, **by_view}


def rows_of(judged: Judgement, name: str, chosen: Bools) -> Iterator[Row]:
    films = judged.predictions.take(np.flatnonzero(chosen))
    found: dict[str, Figure] = {}
    of = binary_figures(films.probability, films.truth, films.called, films.patients)
    found |= {figure: of[figure] for figure in ("auroc", "accuracy", "sensitivity", "specificity")}
    if name == CHILDREN:
        found["kinds right"] = kinds_right(judged)
    found["ece"] = Figure(calibration(films.probability, films.truth).ece)
    found["turned away"] = share(int(films.turned_away.sum()), len(films), "no films")
    if chosen.all() and (boxes := measure_boxes(judged, USUAL)):
        found |= {figure: boxes.figures[figure] for figure in ("map_50", "rsna_score", "sensitivity_at_1")}
    for figure, value in found.items():
        yield Row(name, len(films), int(films.truth.sum()), figure, value.value, value.low, value.high,
                  WANTED.get((name, figure)))  # fmt: skip


def kinds_right(judged: Judgement) -> Figure:
    """How often the likeliest of normal, bacterial and viral is right: no child's label says another finding."""
    films = judged.predictions
    named = [number for number, name in enumerate(films.classes) if name != "other_finding"]
    targets = np.array([named.index(target) for target in films.targets])
    shares = films.class_probabilities[:, named]
    classes = tuple(films.classes[number] for number in named)
    return by_class(shares / shares.sum(1, keepdims=True), targets, classes, films.patients).overall["accuracy"]


def full_size(predictor: Predictor, folder: Path) -> Iterator[Row]:
    """Films at their full size are read otherwise than the small copies: what is called pneumonia among them."""
    paths = sorted((folder / "kermany-original").glob("*/*/*.jpeg"))
    truth = np.array([path.parent.name == "PNEUMONIA" for path in paths])
    answers: Any = predictor.stream(paths, Asked(gate=False, heatmaps=False))
    called = np.array([answer.decision == "pneumonia" for answer in answers])
    for figure, rows, wanted in (("called of the sick", truth, 29), ("called of the normal", ~truth, 1)):
        yield Row(FULL_SIZE, len(paths), int(truth.sum()), figure, int(called[rows].sum()), None, None, wanted)


if __name__ == "__main__":
    main()
