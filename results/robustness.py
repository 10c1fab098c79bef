"""How far a bundle's answers hold when films look otherwise: a table and a picture, figures against strength.

    python results/robustness.py BUNDLE MANIFEST [--split test] [--films N] -o DIR

Writes robustness.csv and robustness.png into DIR. Every change is made to the film, which then goes through the
Predictor like any other. Decisions are those of the bundle's default operating point. All rows are of the same films,
whatever the gate says of them; how many it would turn away stands beside them.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from robustness_changes import CHANGES, changed
from robustness_plot import draw

import hilum
from hilum import Answered, Asked, Radiograph, read
from hilum.bundle.predictor import Predictor
from hilum.bundle.reading import Reading
from hilum.dataset.manifest.manifest import load_manifest
from hilum.evaluation.guard import choose, refuse_seen, seen_films
from hilum.evaluation.judge import with_digests, with_truth
from hilum.measures.figure import Bools, Floats
from hilum.measures.films.binary import auroc

SEED = 1


class Judged(NamedTuple):
    """The probability of each film, and whether the gate turns it away."""

    probability: Floats
    away: Bools


class Row(NamedTuple):
    """`mean_change` is that of the probability, up or down; `mean_shift` keeps the sign."""

    change: str
    strength: float | str
    films: int
    auroc: float
    sensitivity: float
    specificity: float
    mean_change: float
    mean_shift: float
    turned_away: float


def main() -> None:
    parser = argparse.ArgumentParser(description="How far a bundle's answers hold when films look otherwise.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--split", default="test")
    parser.add_argument("--films", type=int, help="so many, drawn by chance; all if left out")
    parser.add_argument("-o", "--out", type=Path, required=True, metavar="DIR")
    given = parser.parse_args()
    model = hilum.load(given.bundle)
    paths, truth = films_of(model, given.manifest, given.split, given.films)
    point = model.card.point()
    as_is = judge(model, paths, lambda film, _: film)
    rows = [Row("as it is", "", *measure(as_is, as_is, truth, point.threshold))]
    for change in CHANGES:
        for strength in change.strengths:
            judged = judge(model, paths, partial(changed, change, strength))
            rows.append(Row(change.name, strength, *measure(judged, as_is, truth, point.threshold)))
            print(*rows[-1], sep="\t", flush=True)
    given.out.mkdir(parents=True, exist_ok=True)
    with (given.out / "robustness.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(Row._fields)
        table.writerows([round(cell, 4) if isinstance(cell, float) else cell for cell in row] for row in rows)
    title = f"{model.card.name}, {len(paths):,} films, threshold {point.threshold:.3f} ({point.name})"
    draw(rows[0], rows[1:], title, given.out / "robustness.png")


def films_of(model: Predictor, manifest_path: Path, split: str, most: int | None) -> tuple[list[Path], Bools]:
    """Films of known truth that the bundle has not seen, the same ones every time."""
    manifest = load_manifest(manifest_path)
    known = with_truth(model.card, with_digests(manifest, choose(manifest, split)))
    refuse_seen(seen_films(model.card, known), known.height, split)
    known = known[np.sort(np.random.default_rng(SEED).permutation(known.height)[:most])]
    return [manifest.path(path) for path in known["path"]], known["truth"].to_numpy()


def judge(model: Predictor, paths: list[Path], change: Callable[[Radiograph, int], Radiograph]) -> Judged:
    """The probabilities of films so changed, and which of them the gate turns away."""
    probabilities, away = [], []
    for reading in model.readings(change(read(path), number) for number, path in enumerate(paths)):
        answer = model.decide(reading, Asked(gate=False, heatmaps=False))
        assert isinstance(reading, Reading) and isinstance(answer, Answered)  # a film that cannot be read ends it
        probabilities.append(answer.probability)
        away.append(not reading.gate.passed)
    return Judged(np.array(probabilities, np.float64), np.array(away))


def measure(judged: Judged, as_is: Judged, truth: Bools, threshold: float) -> tuple[Any, ...]:
    """The figures of a Row, in its order."""
    called = judged.probability >= threshold
    moved = judged.probability - as_is.probability
    return (
        len(truth),
        auroc(judged.probability, truth),
        float(called[truth].mean()),
        float((~called)[~truth].mean()),
        float(np.abs(moved).mean()),
        float(moved.mean()),
        float(judged.away.mean()),
    )


if __name__ == "__main__":
    main()
