"""Heads on a frozen encoder, on Kermany's children: a sweep by validation, and its best on the official test.

    python results/frozen_encoder.py FOLDER OUT > results/frozen-encoder.csv

FOLDER holds kermany-224, split as by results/model_data.py. The encoder is EfficientNet-Lite0 with ImageNet's weights;
its features are computed once. Every combination stands there with its interval on validation; the best by validation,
and only that, is exported and judged on the test, once, at the threshold that validation chose.
"""

from __future__ import annotations

import csv
import sys
import time
from pathlib import Path
from typing import Any

from model_data import kermany
from training import HARDWARE

import hilum
from hilum.dataset.manifest.manifest import save_manifest
from hilum.export.export import export_run
from hilum.export.train import TrainedSweep

SWEEP = {"network.head": ["linear", "mlp"], "frozen.regularization": [1e-3, 1e-2, 1e-1]}
FIGURES = ("auroc", "sensitivity", "specificity", "accuracy")
COLUMNS = (
    *(
        "films_from",
        "network",
        "network.head",
        "frozen.regularization",
        "films",
        "auc",
        "auc_low",
        "auc_high",
        "seconds",
    ),
    *(f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")),
    *("hardware", "protocol"),
)
PROTOCOL = (
    "features of films as they are, heads by L-BFGS; sensitivity and specificity at validation's balanced threshold"
)


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "films.parquet"
    if not manifest.is_file():
        save_manifest(kermany(folder / "kermany-224"), manifest)
    began = time.process_time()
    swept = hilum.train(manifest, recipe="frozen-encoder", sweep=SWEEP, out=out / "sweep", device="cpu")
    took = time.process_time() - began
    assert isinstance(swept, TrainedSweep) and swept.best is not None
    writer = csv.DictWriter(sys.stdout, COLUMNS)
    writer.writeheader()
    known: dict[str, Any] = {"network": swept.sweep.recipe.network.name, "hardware": HARDWARE, "protocol": PROTOCOL}
    for row in swept.rows():
        own = {name: row[name] for name in (*SWEEP, "auc", "auc_low", "auc_high", "seconds")}
        writer.writerow({"films_from": "Kermany, validation", **known, **own})
    bundle = out / "best.onnx"
    if not bundle.is_file():
        export_run(swept.best.combination.run, bundle)
    figures = hilum.evaluate(bundle, manifest, split="test")
    row = {"films_from": "Kermany, test", **known, **swept.best.combination.settings, "films": len(figures.rows())}
    for name in FIGURES:
        figure = figures.figures[name]
        ends = {"": figure.value, "_low": figure.low, "_high": figure.high}
        row |= {f"{name}{end}": None if value is None else round(value, 4) for end, value in ends.items()}
    writer.writerow(row | {"seconds": f"{took:.0f} of a core for the whole sweep"})


if __name__ == "__main__":
    main()
