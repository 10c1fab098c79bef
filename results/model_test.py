"""A classifier on films it never saw: children (Kermany's test films) and adults (NIH films that RSNA's readers judged,
SIIM's fold 0), at its default operating point. One row a bundle and set of films, then mean and standard deviation over
those bundles that differ in their seed alone.

    python results/model_test.py FILMS.parquet RUN [RUN ...] > results/model-test.csv

Each RUN is the folder of a run with its bundle, model.onnx, in it.

FILMS.parquet is what results/model_data.py writes; the adults are those of results/adult-test.csv. All was fixed on
validation films. Portable AP films are of sicker patients, so AP and PA films are judged apart, too: a network that
knows one from the other looks good on both together. Intervals are of 95%, over patients.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from training import HARDWARE

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import Judgement, judge
from hilum.measures.figure import Bools
from hilum.measures.films.binary import binary_figures
from hilum.measures.films.calibration import calibration
from hilum.measures.films.multiclass import by_class
from hilum.training.recipe import recipe_from, to_toml

SHARES = ("accuracy", "sensitivity", "specificity")
SUMMED = ("auroc", *SHARES, "three_class_accuracy", "ece")
COLUMNS = (
    *("model", "seed", "kept_epoch", "films_of", "films", "positive", "auroc", "auroc_low", "auroc_high"),
    *(f"{name}{end}" for name in SHARES for end in ("", "_low", "_high")),
    *("three_class_accuracy", "ece", "turned_away", "operating_point", "threshold", "hardware"),
)


def main() -> None:
    films = load_manifest(sys.argv[1])
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    by_recipe: dict[str, list[dict[str, Any]]] = {}
    for run in map(Path, sys.argv[2:]):
        predictor = hilum.load(run / "model.onnx")
        recipe = recipe_from(predictor.card.recipe)
        of_model = {"model": run.name, "seed": recipe.training.seed, "hardware": HARDWARE}
        of_model["kept_epoch"] = predictor.card.figures["training"]["epoch"]
        seedless = to_toml(replace(recipe, training=replace(recipe.training, seed=0)))
        for source in ("kermany", "nih", "siim-covid"):
            own = Manifest(films.table.filter(pl.col("source") == source), films.folder)
            judged = judge(predictor, DataSet(own, source))
            for name, rows in parts(judged).items():
                row = of_model | {"films_of": name} | figures(judged, rows)
                by_recipe.setdefault(seedless, []).append(row)
                writer.writerow(row)
                sys.stdout.flush()
    for rows_of_recipe in by_recipe.values():
        writer.writerows(over_seeds(rows_of_recipe))


def over_seeds(rows: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for films in dict.fromkeys(row["films_of"] for row in rows):
        own = [row for row in rows if row["films_of"] == films]
        if len(own) < 2:
            return
        seeds = ", ".join(str(row["seed"]) for row in own)
        known = {name: [row[name] for row in own] for name in SUMMED if own[0][name] is not None}
        yield {"model": f"mean of seeds {seeds}", "films_of": films} | {
            name: round(float(np.mean(values)), 4) for name, values in known.items()
        }
        yield {"model": f"standard deviation of seeds {seeds}", "films_of": films} | {
            name: round(float(np.std(values, ddof=1)), 4) for name, values in known.items()
        }


def parts(judged: Judgement) -> dict[str, Bools]:
    """The films that belong together, by name."""
    label, view = judged.films["label"].to_numpy(), judged.films["view"].to_numpy()
    whole = np.ones(len(label), np.bool_)
    if judged.manifest_name == "kermany":
        return {"children: Kermany's official test": whole}
    if judged.manifest_name == "siim-covid":
        return {"adults: SIIM fold 0, any appearance of pneumonia against none": whole}
    against_normal = label != "not_normal"
    return {
        "adults: NIH, lung opacity against normal": against_normal,
        "adults: NIH, lung opacity against all others": whole,
        **{f"adults: NIH, the same, {kind} films": view == kind for kind in ("PA", "AP")},
    }


def figures(judged: Judgement, rows: Bools) -> dict[str, Any]:
    films = judged.predictions.take(np.flatnonzero(rows))
    of = binary_figures(films.probability, films.truth, films.called, films.patients)
    classes = None
    if judged.manifest_name == "kermany" and len(films.classes) > 2:
        classes = by_class(films.class_probabilities, films.targets, films.classes, films.patients)
    row: dict[str, Any] = {
        "films": len(films),
        "positive": int(films.truth.sum()),
        **{name: of[name].value for name in ("auroc", *SHARES)},
        **{f"{name}_low": of[name].low for name in ("auroc", *SHARES)},
        **{f"{name}_high": of[name].high for name in ("auroc", *SHARES)},
        "three_class_accuracy": classes.overall["accuracy"].value if classes else None,
        "ece": calibration(films.probability, films.truth).ece,
        "turned_away": int(films.turned_away.sum()),
        "operating_point": judged.point.name,
        "threshold": films.threshold,
    }
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


if __name__ == "__main__":
    main()
