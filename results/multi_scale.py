"""What the repairs of the published multi-scale transformer bring, by seeds, on Kermany's official test films: CSV.

    python results/multi_scale.py KERMANY.parquet RESNET50.safetensors OUT > results/multi-scale.csv

KERMANY.parquet is what `hilum data import kermany` and `hilum data split` make of Kermany's set. RESNET50.safetensors
are ImageNet's weights of ResNet50 as first published. What the recipes say is followed but for films, epochs, batch
and, at 224 px, size, which are what two shared cores allow: 243 training films and 96 for validation, drawn by patient,
batches of 16; three epochs and two seeds at 224 px, one of each at the published 512 px. Each film is varied anew in
every epoch, as the recipes want it. Runs that are whole are not trained again; with sizes named after OUT only those
are made. Of several seeds the mean stands in the table, with its interval of 95% over patients and the lowest and
highest run; differences are of the same films and seeds. Accuracy is that of the most probable class, as the authors
count it; the epoch is always picked by validation.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from going_on import judged, trained

from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.measures.bootstrap import auroc_measure, bootstrap, total_measure
from hilum.measures.films.binary import auroc

FILMS, VAL_FILMS, BATCH = 240, 96, 16
PUBLISHED, TRAINED, REPAIRED = "as published", "transformer trained", "transformer trained, looking at the lungs"
# Side of the films, epochs, seeds, and the ways that are tried there.
SIZES = ((224, 3, (1, 2), (PUBLISHED, REPAIRED, TRAINED)), (512, 1, (1,), (PUBLISHED, REPAIRED)))
# What `multi-scale-transformer` says of learning, without its lungs.
LEARNING = {
    "phases.0.train": "head",
    "optimizer.name": "adamw",
    "optimizer.learning_rate": 1e-3,
    "optimizer.weight_decay": 0.01,
    "schedule.name": "cosine",
    "schedule.warmup_epochs": 0.5,
    "training.clip": 1.0,
    "selection.metric": "loss",
}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    PUBLISHED: ("multi-scale-transformer-published", {}),
    REPAIRED: ("multi-scale-transformer", {}),
    TRAINED: ("multi-scale-transformer-published", LEARNING),
}
ROWS = (
    *((PUBLISHED, None), (TRAINED, None), (REPAIRED, None)),
    *((TRAINED, PUBLISHED), (REPAIRED, TRAINED), (REPAIRED, PUBLISHED)),
)


def few(manifest: Manifest, path: Path) -> Path:
    """So many films of training and of validation, whole patients in drawn order, and all of the test films."""
    table, kept = manifest.table, [manifest.table["split"] == "test"]
    for split, films in (("train", FILMS), ("val", VAL_FILMS)):
        inside = table.filter(pl.col("split") == split)
        order = np.random.default_rng(0).permutation(np.unique(inside["patient"].to_numpy()))
        counts = dict(inside.group_by("patient").len().iter_rows())
        total = np.cumsum([counts[patient] for patient in order])
        kept.append(
            (table["split"] == split) & table["patient"].is_in(order[: np.searchsorted(total, films) + 1].tolist())
        )
    chosen = table.filter(kept[0] | kept[1] | kept[2])
    save_manifest(Manifest(chosen, manifest.folder), path)
    return path


def small(side: int, epochs: int) -> dict[str, Any]:
    """Settings that make training as short as it is here."""
    sides = {"network.name": "resnet50_v1_multi_scale", "input.height": side, "input.width": side}
    return sides | {"phases.0.epochs": epochs, "training.batch_size": BATCH}


def main() -> None:
    manifest, weights, out = load_manifest(Path(sys.argv[1])), str(Path(sys.argv[2]).absolute()), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    films = few(manifest, out / "films.parquet")
    test = Manifest(manifest.table.filter(pl.col("split") == "test"), manifest.folder)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["side", "epochs", "figure", "way", "runs", "value", "low", "high", "lowest_run", "highest_run"])
    asked = [int(side) for side in sys.argv[4:]]
    for side, epochs, seeds, ways in SIZES:
        if asked and side not in asked:
            continue
        chances: dict[str, list[Any]] = {way: [] for way in ways}
        for seed in seeds:
            for way in ways:
                recipe, settings = WAYS[way]
                given = small(side, epochs) | {"network.weights": weights, "training.seed": seed} | settings
                folder = out / f"{way.replace(', ', '-').replace(' ', '-')}-{side}-{seed}"
                run = trained(films, folder, recipe=recipe, settings=given)
                chances[way].append(judged(run, "test", test))
                print("judged:", run.name, file=sys.stderr, flush=True)
        writer.writerows([side, epochs, *row] for row in compared(chances, test))


def compared(chances: dict[str, list[Any]], test: Manifest) -> list[list[Any]]:
    """Figures of each way and differences between ways, resampled together."""
    truth, patients = test.table["pneumonia"].to_numpy(), test.table["patient"].to_numpy()
    places, given = {}, []
    for way, of_way in chances.items():
        places[way] = slice(len(given), len(given) + len(of_way))
        given += of_way
    right = [(chance > 0.5) == truth for chance in given]
    everyone = bootstrap(patients, [total_measure(np.ones(len(truth), bool))])
    figures = {
        "auroc": ([auroc(chance, truth) for chance in given], [auroc_measure(chance, truth) for chance in given], None),
        "accuracy": ([of_run.mean() for of_run in right], [total_measure(of_run) for of_run in right], everyone),
    }
    rows = []
    for figure, (values, measures, whole) in figures.items():
        drawn, found = bootstrap(patients, measures), np.array(values)
        drawn = drawn if whole is None else drawn / whole
        for way, less in ROWS:
            if not {way, less} <= {None, *places}:
                continue
            here, change = found[places[way]], drawn[:, places[way]].mean(1)
            if less is not None:
                here, change = here - found[places[less]], change - drawn[:, places[less]].mean(1)
            cells = here.mean(), *np.quantile(change, [0.025, 0.975]), here.min(), here.max()
            name = way if less is None else f"{way}, less {less}"
            rows.append([figure, name, len(here), *(f"{cell:.4f}" for cell in cells)])
    return rows


if __name__ == "__main__":
    main()
