"""Bundles on the official test films of Kermany's set, beside what is published: one table.

    python results/kermany_test.py MANIFEST RUN [RUN ...] > results/kermany-test.csv

Each RUN is the folder of a run that holds the bundle made of it as model.onnx, or a bundle alone, of which it is not
known how long its training took. Bundles are judged as `hilum evaluate` does, on the manifest's split test, at the
operating point that validation chose. Recall is called sensitivity;
the interval of AUROC is of 95%, over patients. The first row is what a forest makes of metadata alone.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from training import HARDWARE, changes

import hilum
from hilum.bundle.card import Card
from hilum.dataset.manifest.manifest import load_manifest
from hilum.evaluation.comparison.leaderboard import leaderboard
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import judge
from hilum.evaluation.measure import Evaluation, measure
from hilum.evaluation.shortcut import Shortcut, metadata_alone
from hilum.training.recipe import load_recipe, recipe_from, shipped_recipes

COLUMNS = (
    *("recipe", "settings", "network", "epochs", "kept_epoch", "films", "auroc", "auroc_low", "auroc_high"),
    *("accuracy", "sensitivity", "specificity", "precision", "f1", "three_class_accuracy", "ece"),
    *("train_minutes", "hardware", "operating_point", "threshold", "source", "protocol"),
)
OURS = "hilum evaluate; threshold and calibration from validation films, the test films only judged"
TEST = "the official 624 test films"
PUBLISHED: tuple[dict[str, Any], ...] = (
    {
        "recipe": "resnet50-class-weights, as published",
        "network": "resnet50",
        "epochs": 20,
        "accuracy": 0.854,
        "sensitivity": 0.99,
        "precision": 0.81,
        "f1": 0.89,
        "source": "ResNet50 with class weights, 2020",
        "protocol": f"{TEST}, but randomly flipped, turned and shifted as in training; split of the rest 70/30 by "
        "film, children on both sides; epoch by validation loss, after epoch 15; most probable class",
    },
    {
        "recipe": "three-classes-small-cnn, as published",
        "network": "small CNN from scratch",
        "three_class_accuracy": 0.70,
        "source": "Three classes with small CNNs, 2020",
        "protocol": "test films; about 80% on 1,000 validation films; which of two networks is not said",
    },
    {
        "recipe": "three-classes-small-cnn with offline augmentation, as published",
        "network": "small CNN from scratch",
        "three_class_accuracy": 0.65,
        "source": "Three classes with small CNNs, 2020",
        "protocol": "test films; 20 fixed variations of each training film (109,872), 94% while training",
    },
    {
        "recipe": "transfer-published, as published",
        "network": "ResNets, VGGs, AlexNet, GoogLeNet, Inception",
        "accuracy": "0.95 to 0.965",
        "source": "Transfer learning with fast loading, 2021",
        "protocol": "CoronaHack set, whose films are mostly Kermany's; best model picked on the test films; "
        "early stopping never fires",
    },
    {
        "recipe": "multi-scale-transformer-published, as published",
        "network": "resnet50, dilated, read by decoders",
        "epochs": 30,
        "accuracy": 0.9375,
        "source": "Fateh et al., arXiv 2408.04290, 2024",
        "protocol": f"{TEST}, on which the epoch was picked; 512 px; decoders as they began; most probable class",
    },
    {
        "recipe": "",
        "network": "Inception-v3, last layer",
        "epochs": 100,
        "films": 624,
        "auroc": 0.968,
        "accuracy": 0.928,
        "sensitivity": 0.932,
        "specificity": 0.901,
        "source": "Kermany et al., Cell 172, 2018",
        "protocol": f"{TEST}; how the threshold was chosen is not said; sensitivity and specificity as stated make "
        "accuracy 0.920, not 0.928",
    },
    {
        "recipe": "",
        "network": "resnet18 at 224",
        "films": 624,
        "auroc": 0.956,
        "accuracy": 0.864,
        "source": "MedMNIST v2 (PneumoniaMNIST), Sci Data 10, 2023",
        "protocol": f"{TEST}, central square; split of the rest 9:1 by film; 28 px films scaled up to 224; "
        "most probable class",
    },
)


def main() -> None:
    manifest = load_manifest(sys.argv[1])
    writer = csv.DictWriter(sys.stdout, COLUMNS, lineterminator="\n")
    writer.writeheader()
    shortcut = None
    for run in map(Path, sys.argv[2:]):
        bundle = run / "model.onnx" if run.is_dir() else run
        judged = judge(hilum.load(bundle), DataSet(manifest, Path(sys.argv[1]).name))
        if shortcut is None:  # the same films, so the same for all
            shortcut = metadata_alone(judged)
            writer.writerow(without_a_look(shortcut, len(judged.predictions)))
        writer.writerow(rounded(made_from(run, judged.card) | figures(measure(judged, shortcut))))
        sys.stdout.flush()
    writer.writerows(PUBLISHED)


def without_a_look(shortcut: Shortcut, films: int) -> dict[str, Any]:
    auc = None if shortcut.auc is None else round(shortcut.auc, 4)
    what = "size, encoding and border alone, cross-validated within the test films"
    return {"recipe": "none", "network": "forest", "films": films, "auroc": auc, "source": "hilum", "protocol": what}


def made_from(run: Path, card: Card) -> dict[str, Any]:
    """Recipe and training of a bundle; how long it took stands in the run's folder only."""
    recipe, shipped = recipe_from(card.recipe), {name: load_recipe(name) for name in shipped_recipes()}
    # A title says which network it was written for and another one, if that was set.
    begins = [name for name, known in shipped.items() if recipe.title.startswith(known.title)]
    name = max(begins, key=lambda name: len(shipped[name].title), default=recipe.title)
    made = {
        "recipe": name,
        "settings": " ".join(changes(shipped[name].as_dict(), recipe.as_dict())) if name in shipped else "",
        "network": recipe.network.name,
        "kept_epoch": int(card.figures["training"]["epoch"]),
    }
    if not run.is_dir():
        return made
    (standing,), _ = leaderboard(run)
    hardware = HARDWARE if standing.device == "cpu" else standing.device
    return made | {"epochs": standing.epochs, "train_minutes": round(standing.seconds / 60), "hardware": hardware}


def figures(evaluation: Evaluation) -> dict[str, Any]:
    point, found, classes = evaluation.judgement.point, evaluation.all, evaluation.by_class
    return {
        "films": len(evaluation.judgement.predictions),
        "auroc": found["auroc"].value,
        "auroc_low": found["auroc"].low,
        "auroc_high": found["auroc"].high,
        **{name: found[name].value for name in ("accuracy", "sensitivity", "specificity", "f1")},
        "precision": found["ppv"].value,
        "three_class_accuracy": classes.overall["accuracy"].value if classes else None,
        "ece": evaluation.after.ece,
        "operating_point": point.name,
        "threshold": evaluation.judgement.predictions.threshold,
        "source": "hilum",
        "protocol": OURS,
    }


def rounded(row: dict[str, Any]) -> dict[str, Any]:
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}


if __name__ == "__main__":
    main()
