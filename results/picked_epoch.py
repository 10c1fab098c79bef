"""What picking the epoch on the test films brings, on Kermany's official test films: CSV.

    python results/picked_epoch.py KERMANY.parquet RESNET50.safetensors OUT > results/picked-epoch.csv

Each training is made once with the epoch picked by validation and once with it picked by the test films themselves, as
the published multi-scale transformer's was: the same films, the same seed, so the same weights after every epoch (the
losses are compared), and only the choice differs. What the second gains over the first is the figure's flattery, no
better network. Films and weights are those of results/multi_scale.py: 243 training films and 96 for validation, at
64 px, six epochs; accuracy of the most probable class picks. Mean over the seeds, lowest and highest.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from going_on import trained
from multi_scale import few, small

from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.training.run import Run

RECIPE, SIDE, EPOCHS, SEEDS = "multi-scale-transformer-published", 64, 6, (1, 2, 3)
PICKED = ("epoch picked by validation", "last epoch", "epoch picked on test", "picked on test, less by validation")


def main() -> None:
    manifest, weights, out = load_manifest(Path(sys.argv[1])), str(Path(sys.argv[2]).absolute()), Path(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    picking = {"validation": few(manifest, out / "by-validation.parquet"), "test": out / "by-test.parquet"}
    chosen = load_manifest(picking["validation"])
    # Both sides change places, so that the store has the same rows, from which the variation of films follows.
    swapped = chosen.table.with_columns(pl.col("split").replace({"val": "test", "test": "val"}))
    save_manifest(Manifest(swapped, chosen.folder), picking["test"])
    found = []
    for seed in SEEDS:
        given: dict[str, Any] = small(SIDE, EPOCHS) | {"network.weights": weights, "training.seed": seed}
        validation, test = (
            Run(trained(file, out / f"{RECIPE}-{seed}-by-{by}", recipe=RECIPE, settings=given)).read_history()
            for by, file in picking.items()
        )
        assert [epoch["train_loss"] for epoch in validation] == [epoch["train_loss"] for epoch in test]
        on_test = [epoch["accuracy"] for epoch in test]
        honest = on_test[int(np.argmax([epoch["accuracy"] for epoch in validation]))]
        found.append([honest, on_test[-1], max(on_test), max(on_test) - honest])
        print("seed", seed, *on_test, file=sys.stderr, flush=True)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(["recipe", "side", "epochs", "seeds", "accuracy_on_test", "mean", "lowest", "highest"])
    for name, values in zip(PICKED, np.array(found).T, strict=True):
        cells = values.mean(), values.min(), values.max()
        writer.writerow([RECIPE, SIDE, EPOCHS, len(SEEDS), name, *(f"{cell:.4f}" for cell in cells)])


if __name__ == "__main__":
    main()
