"""Detection bundles on films of SIIM's fold 0 and, as another hospital's, on NIH films with the RSNA challenge's boxes.

    python results/detection.py FILMS.parquet RUN [RUN ...] > results/detection.csv

FILMS.parquet is what results/model_data.py writes. Each RUN has model.onnx and learned from SIIM's films only, so all
893 NIH films of RSNA's readers are external. Bundles are judged as `hilum evaluate` does, the box threshold and every
other setting being those that validation (fold 1) chose, as it is or weighted to the share of films with boxes that the
challenge had (`hilum export --prevalence 0.225`); intervals are of 95%, over patients. How much of what is lost
outside is the manner of drawing shows where boxes of half the overlap count, and where the boxes' size is set anew.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from training import HARDWARE, changes

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.evaluation.comparison.leaderboard import leaderboard
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import Judgement, Scope, judge
from hilum.evaluation.measure import measure
from hilum.evaluation.measure_boxes import BoxEvaluation
from hilum.evaluation.shortcut import metadata_alone
from hilum.measures.boxes.overlap import above, match, shrink
from hilum.measures.boxes.rsna_score import rsna_score
from hilum.measures.boxes.sweep import SHRINKAGES
from hilum.measures.figure import Figure
from hilum.training.recipe import load_recipe, recipe_from, shipped_recipes

BOX_FIGURES = (
    "rsna_score",
    "map_50",
    "sensitivity_at_0.25",
    "sensitivity_at_0.5",
    "sensitivity_at_1",
    "sensitivity_at_2",
)
COLUMNS = (
    *("recipe", "settings", "films_from", "films", "true_boxes", "prevalence", "box_threshold"),
    *(f"{name}{end}" for name in BOX_FIGURES for end in ("", "_low", "_high")),
    *("auroc", "auroc_low", "auroc_high", "auroc_of_scores", "rsna_score_other_size", "found_at_overlap_0.25"),
    *("found_at_overlap_0.5", "epochs", "kept_epoch", "train_minutes", "hardware", "source", "protocol"),
)
PUBLISHED: tuple[dict[str, Any], ...] = (
    {
        "recipe": "the challenge's winner",
        "films_from": "RSNA challenge, private board",
        "rsna_score": 0.25,
        "source": "RSNA Pneumonia Detection Challenge, 2018",
        "protocol": "ensemble, trained on 26,684 films; the same readers drew training and test boxes",
    },
    {
        "recipe": "Faster R-CNN",
        "films_from": "RSNA challenge",
        "rsna_score": 0.13,
        "source": "a plain Faster R-CNN on the challenge's films",
        "protocol": "trained on the challenge's films",
    },
)


def main() -> None:
    films = load_manifest(sys.argv[1])
    sets = {
        "SIIM fold 0, test": Manifest(films.table.filter(pl.col("source") == "siim-covid"), films.folder),
        "NIH films with RSNA boxes, external": Manifest(films.table.filter(of_rsna()), films.folder),
    }
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for run in map(Path, sys.argv[2:]):
        predictor = hilum.load(run / "model.onnx")
        for name, manifest in sets.items():
            judged = judge(predictor, DataSet(manifest, name), Scope("test" if name.startswith("SIIM") else "all"))
            writer.writerow(made_from(run, judged) | {"films_from": name} | figures(judged))
            sys.stdout.flush()
    writer.writerows(PUBLISHED)


def of_rsna() -> pl.Expr:
    """NIH's films with labels of the challenge; the others' labels were mined from reports."""
    return (pl.col("source") == "nih") & pl.col("boxes").is_not_null()


def made_from(run: Path, judged: Judgement) -> dict[str, Any]:
    recipe, shipped = recipe_from(judged.card.recipe), {name: load_recipe(name) for name in shipped_recipes()}
    name = next((name for name, known in shipped.items() if known.title == recipe.title), recipe.title)
    (standing,), _ = leaderboard(run)
    return {
        "recipe": name,
        "settings": " ".join(changes(shipped[name].as_dict(), recipe.as_dict())) if name in shipped else "",
        "epochs": standing.epochs,
        "kept_epoch": int(judged.card.figures["training"]["epoch"]),
        "train_minutes": round(standing.seconds / 60),
        "hardware": HARDWARE if standing.device == "cpu" else standing.device,
        "source": "hilum",
        "protocol": "trained on SIIM folds 2 to 4 at 256 px, settings from fold 1",
    }


def figures(judged: Judgement) -> dict[str, Any]:
    evaluation = measure(judged, metadata_alone(judged))
    boxes = evaluation.boxes
    assert boxes is not None
    row = {
        "films": len(judged.predictions),
        "true_boxes": boxes.counts["true_boxes"],
        "prevalence": judged.card.boxes.prevalence if judged.card.boxes else None,
        "box_threshold": boxes.threshold,
        "auroc_of_scores": boxes.figures["auroc_of_scores"].value,
        "rsna_score_other_size": best_of_other_size(boxes),
        "found_at_overlap_0.25": found_at(boxes, 0.25),
        "found_at_overlap_0.5": found_at(boxes, 0.5),
    }
    for name, figure in {
        **{name: boxes.figures[name] for name in BOX_FIGURES},
        "auroc": evaluation.all["auroc"],
    }.items():
        row |= with_ends(name, figure)
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def with_ends(name: str, figure: Figure) -> dict[str, Any]:
    return {name: figure.value, f"{name}_low": figure.low, f"{name}_high": figure.high}


def found_at(boxes: BoxEvaluation, overlap: float) -> float:
    """The share of true boxes that a shown box overlaps by more."""
    shown = [above(found, boxes.threshold) for found in boxes.found]
    return float(match(boxes.truths, shown, (overlap,)).hit.sum() / sum(map(len, boxes.truths)))


def best_of_other_size(boxes: BoxEvaluation) -> float:
    """The RSNA score with all boxes as much larger or smaller as these very films like best: no figure to hope for, but
    what is gained by it is a matter of how readers draw, not of what the network sees."""
    shown = [above(found, boxes.threshold) for found in boxes.found]
    return float(np.max([rsna_score(boxes.truths, [shrink(found, size) for found in shown]) for size in SHRINKAGES]))


if __name__ == "__main__":
    main()
