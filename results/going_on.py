"""What going on from a trained network is worth where a hospital has few films: CSV, a row for each run.

    python results/going_on.py FILMS.parquet OUT > results/going-on.csv

FILMS.parquet is what results/hilum_data.py writes. The network that is gone on from learned from Kermany's children and
SIIM's adults; the hospital it never saw is the NIH's, of which RSNA's radiologists judged films: normal, or with an
opacity. 100, 300 and 1,000 of its training films, a quarter of them for validation, chosen by patient and seed, train a
network from there (recipe `fine-tune`) and one from ImageNet (recipe `default`); both are judged on the hospital's test
films and, for what is forgotten, on Kermany's. Small inputs, so that all of it takes an hour of one core. Runs that are
whole already are not trained again. Intervals are of 95%, over patients.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import torch

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.patients import patients_of
from hilum.dataset.store.store import build_store
from hilum.export.material import best_network
from hilum.measures.bootstrap import auroc_measure, bootstrap
from hilum.measures.films.binary import auroc
from hilum.training.run import Run

SIDE, SIZES, SEEDS = 160, (100, 300, 1000), (1, 2, 3)
HOSPITAL = ("nih", "rsna")
SMALL = {"input.height": SIDE, "input.width": SIDE}
# So that both have taken about as many steps as do them good.
STARTS: dict[str, dict[str, Any]] = {
    "from the other hospitals": {"recipe": "fine-tune"},
    "from ImageNet": {"recipe": "default", "settings": SMALL | {"phases.0.epochs": 8, "training.batch_size": 16}},
}


def split_to(manifest: Manifest, path: Path, splits: pl.Expr) -> Path:
    """A manifest of the films that get a split."""
    table = manifest.table.with_columns(splits.alias("split"), pl.lit(None, pl.String).alias("official_split"))
    save_manifest(Manifest(table.filter(pl.col("split").is_not_null()), manifest.folder), path)
    return path


def of_hospital(table: pl.DataFrame) -> pl.Series:
    return table["source"].is_in(HOSPITAL) & table["label"].is_in(["normal", "lung_opacity"])


def chosen(table: pl.DataFrame, films: int, seed: int) -> pl.Series:
    """The split of each film where only so many of the hospital are at hand: whole patients, in a drawn order."""
    random = np.random.default_rng([seed, films])
    wanted = (
        table["source"].is_in(HOSPITAL)
        & table["split"].is_in(["train"])
        & table["label"].is_in(["normal", "lung_opacity"])
    )
    names = np.array(patients_of(table))
    order = random.permutation(np.unique(names[wanted.to_numpy()]))
    splits: list[str | None] = [None] * len(table)
    taken = 0
    for number, patient in enumerate(order):
        for row in np.flatnonzero((names == patient) & wanted.to_numpy()):
            splits[row] = "val" if number % 4 == 3 else "train"
            taken += 1
        if taken >= films:
            break
    return pl.Series("split", splits, pl.String)


def judged(run: Path, manifest: Manifest, films: pl.Series) -> tuple[float, float, float]:
    """AUROC of these films, with its interval."""
    recipe = Run(run).recipe()
    store = build_store(manifest, recipe.input.to_geometry())
    table = manifest.table.filter(films)
    network, _ = best_network(Run(run), recipe)
    pixels = store.pixels[store.rows(table["file_digest"].to_list())]
    with torch.no_grad():
        parts = [network(torch.from_numpy(pixels[start : start + 32])[:, None].float() / 255).film
                 for start in range(0, len(pixels), 32)]  # fmt: skip
    logits = torch.cat(parts).double()
    chance = (logits[:, 1:].logsumexp(1) - logits[:, 0]).sigmoid().numpy()
    truth, patients = table["pneumonia"].to_numpy(), np.array(patients_of(table))
    (resampled,) = bootstrap(patients, [auroc_measure(chance, truth)]).T
    low, high = np.quantile(resampled, [0.025, 0.975])
    return auroc(chance, truth), float(low), float(high)


def rows(films: Path, out: Path) -> Iterator[list[object]]:
    manifest = load_manifest(films)
    table = manifest.table
    tests = {"the hospital": of_hospital(table) & (table["split"] == "test"),
             "Kermany": (table["source"] == "kermany") & (table["split"] == "test")}  # fmt: skip
    base = out / "others"
    if not (base / "checkpoints" / "best.ckpt").is_file():
        others = split_to(
            manifest,
            out / "others.parquet",
            pl.when(pl.col("source").is_in(["kermany", "siim-covid"]) & (pl.col("split") != "test")).then("split"),
        )
        hilum.train(others, recipe="default", settings=SMALL | {"phases.0.epochs": 2}, out=base, bundle=False)
    for name, test in tests.items():
        yield ["the other hospitals alone", 0, 0, name, *judged(base, manifest, test)]
    for size in SIZES:
        for seed in SEEDS:
            few = split_to(manifest, out / f"{size}-{seed}.parquet", pl.lit(chosen(table, size, seed)))
            for start, learning in STARTS.items():
                run = out / f"{size}-{seed}-{start.split()[1]}"
                if not (run / "curves.png").is_file():
                    given = dict(learning) | {"out": run, "bundle": False}
                    if start == "from the other hospitals":
                        given["start"] = base
                    given["settings"] = dict(given.get("settings", {})) | {"training.seed": seed}
                    hilum.train(few, **given)
                for name, test in tests.items():
                    yield [start, size, seed, name, *judged(run, manifest, test)]


if __name__ == "__main__":
    writer = csv.writer(sys.stdout)
    writer.writerow(["start", "films", "seed", "judged_on", "auroc", "low", "high"])
    for row in rows(Path(sys.argv[1]), Path(sys.argv[2])):
        writer.writerow([f"{value:.4f}" if isinstance(value, float) else value for value in row])
        sys.stdout.flush()
