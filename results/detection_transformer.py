"""RetinaNet's head beside RT-DETRv2's: the same body, the same films of rsna-256, the same time of a processor.

    python results/detection_transformer.py FOLDER OUT MINUTES > results/detection-transformer.csv

FOLDER holds rsna-256; patients are split as by results/hilum_data.py. Of each split all films with boxes take part and
as many normal ones, at 160 px. Each recipe learns for so many minutes of one core (time that the process had, so that a
busy machine changes nothing), its epochs being set from its own speed beforehand; the epoch is chosen by validation. So
the figures say what little time makes of each, not what long training would. Intervals are of 95%, over patients. What
is done is not done again.
"""

from __future__ import annotations

import csv
import json
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from hilum_data import rsna
from training import HARDWARE

import hilum
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.export.train import Trained
from hilum.system.files import write_whole

RECIPES = ("boxes", "detection-transformer")
SIDE, SEED = 160, 1
FIGURES = ("rsna_score", "map_50", "sensitivity_at_0.5", "sensitivity_at_1", "auroc")
COLUMNS = (
    *(
        "recipe",
        "films_from",
        "films",
        "true_boxes",
        *(f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")),
    ),
    *("parameters", "epochs", "kept_epoch", "core_minutes", "films_a_second_training", "ms_a_film", "megabytes"),
    *("hardware", "protocol"),
)


def main() -> None:
    folder, out, minutes = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "films.parquet"
    if not manifest.is_file():
        save_manifest(balanced(rsna(folder / "rsna-256")[0]), manifest)
    writer = csv.DictWriter(sys.stdout, COLUMNS)
    writer.writeheader()
    for recipe in RECIPES:
        writer.writerow(judged(out / recipe, recipe, manifest, minutes))


def balanced(manifest: Manifest) -> Manifest:
    """All films with boxes, and of each split as many without, by chance."""
    random = np.random.default_rng(SEED)
    kept = []
    for split in ("train", "val", "test"):
        films = manifest.table.filter(pl.col("split") == split)
        opaque = films["boxes"].list.len() > 0
        clear = films.filter(~opaque)
        chosen = random.permutation(len(clear))[: int(opaque.sum())]
        kept += [films.filter(opaque), clear[np.sort(chosen).tolist()]]
    return Manifest(pl.concat(kept), manifest.folder)


def judged(folder: Path, recipe: str, manifest: Path, minutes: float) -> dict[str, Any]:
    """A row: trained if it was not, and evaluated on the test films."""
    told = folder.with_suffix(".json")
    if not told.is_file():
        sides = {"input.height": SIDE, "input.width": SIDE, "training.seed": SEED}
        films = int((load_manifest(manifest).table["split"] == "train").sum())
        speed = speed_of(folder.with_name(f"{folder.name}-speed"), recipe, sides, manifest)
        epochs = max(round(60 * minutes * speed / films), 1)
        began = time.process_time()
        trained = train(folder, recipe, sides | {"phases.0.epochs": epochs}, manifest, bundle=True)
        assert trained.bundle is not None and trained.kept is not None, trained.reason
        took = {
            "core_minutes": round((time.process_time() - began) / 60, 2),
            "films_a_second_training": round(speed, 2),
        }
        write_whole(told, json.dumps(took | {"epochs": epochs, "kept_epoch": int(trained.kept["epoch"])}))
    bundle = hilum.load(folder / "model.onnx")
    evaluation = hilum.evaluate(bundle, manifest, split="test").evaluation
    boxes = evaluation.boxes
    assert boxes is not None
    found = {**boxes.figures, "auroc": evaluation.all["auroc"]}
    row: dict[str, Any] = {"recipe": recipe, "films_from": "RSNA (rsna-256), balanced", **json.loads(told.read_text())}
    for name in FIGURES:
        figure = found[name]
        ends = {"": figure.value, "_low": figure.low, "_high": figure.high}
        row |= {f"{name}{end}": None if value is None else round(value, 4) for end, value in ends.items()}
    return row | {
        "films": boxes.counts["films"],
        "true_boxes": boxes.counts["true_boxes"],
        "ms_a_film": round(1000 * seconds_a_film(folder / "model.onnx"), 2),
        "megabytes": round((folder / "model.onnx").stat().st_size / 1e6, 1),
        "hardware": HARDWARE,
        "protocol": f"{minutes:g} minutes of one core each at {SIDE} px from ImageNet's weights, seed {SEED}",
    }


def speed_of(folder: Path, recipe: str, sides: dict[str, Any], manifest: Path) -> float:
    """Films learned from in a second of a core, from one epoch."""
    began = time.process_time()
    train(folder, recipe, sides | {"phases.0.epochs": 1}, manifest, bundle=False)
    return int((load_manifest(manifest).table["split"] == "train").sum()) / (time.process_time() - began)


def train(folder: Path, recipe: str, settings: dict[str, Any], manifest: Path, *, bundle: bool) -> Trained:
    if folder.exists():
        made = hilum.train(resume=folder, device="cpu")
    else:
        made = hilum.train(manifest, recipe=recipe, settings=settings, out=folder, device="cpu", bundle=bundle)
    assert isinstance(made, Trained)
    return made


def seconds_a_film(bundle: Path) -> float:
    """Of the network alone, in this process's own time: the shortest of some."""
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(bundle, options)
    film = np.random.default_rng(SEED).integers(0, 256, (1, 1, SIDE, SIDE), np.uint8)
    times = []
    for _ in range(40):
        began = time.process_time()
        session.run(None, {"films": film})
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    main()
