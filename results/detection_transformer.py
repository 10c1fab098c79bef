"""RetinaNet's head beside RT-DETRv2's: the same body, the same films of rsna-256, about the same time of a processor.

    python results/detection_transformer.py FOLDER OUT boxes=4 detection-transformer=2 > detection-transformer.csv

FOLDER holds rsna-256; patients are split as by results/hilum_data.py. Of each split all films with boxes take part and
as many normal ones, at 160 px. Each recipe learns for as many epochs as are named; what they took of a core stands in
the row (time that the process had, so that a busy machine changes nothing). Figures are of validation, of the epoch
that it chose: they say what little time makes of each, not what long training would. `ms_a_film` is the network's
forward in PyTorch on one core, the shortest of some. What is done is not done again.
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
import torch
from hilum_data import rsna
from training import HARDWARE

import hilum
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.export.train import Trained
from hilum.system.files import write_whole
from hilum.training.prepare import network_of
from hilum.training.run import Run

SIDE, SEED = 160, 1
FIGURES = ("ap50", "rsna_score", "auc")
COLUMNS = (
    *("recipe", "films_from", "films", "true_boxes", *FIGURES, "epochs", "kept_epoch", "core_minutes", "parameters"),
    *("ms_a_film", "hardware", "protocol"),
)


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    manifest = out / "films.parquet"
    if not manifest.is_file():
        save_manifest(balanced(rsna(folder / "rsna-256")[0]), manifest)
    writer = csv.DictWriter(sys.stdout, COLUMNS)
    writer.writeheader()
    for recipe, _, epochs in (asked.partition("=") for asked in sys.argv[3:]):
        writer.writerow(row_of(out / f"{recipe}-{epochs}", recipe, int(epochs), manifest))
        sys.stdout.flush()


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


def row_of(folder: Path, recipe: str, epochs: int, manifest: Path) -> dict[str, Any]:
    told = folder.with_suffix(".json")
    if not told.is_file():
        settings = {"input.height": SIDE, "input.width": SIDE, "training.seed": SEED, "phases.0.epochs": epochs}
        began = time.process_time()
        trained = hilum.train(manifest, recipe=recipe, settings=settings, out=folder, device="cpu", bundle=False)
        minutes = (time.process_time() - began) / 60
        assert isinstance(trained, Trained) and trained.kept is not None
        write_whole(told, json.dumps({"core_minutes": round(minutes, 2), **trained.kept}))
    kept = json.loads(told.read_text())
    network = network_of(Run(folder).recipe(), "none").eval()
    films = pl.read_parquet(manifest).filter(pl.col("split") == "val")
    return {
        "recipe": recipe,
        "films_from": "RSNA (rsna-256), balanced, validation",
        "films": len(films),
        "true_boxes": int(films["boxes"].list.len().sum()),
        **{name: round(kept[name], 4) for name in FIGURES},
        "epochs": epochs,
        "kept_epoch": int(kept["epoch"]),
        "core_minutes": kept["core_minutes"],
        "parameters": sum(parameter.numel() for parameter in network.parameters()),
        "ms_a_film": round(1000 * seconds_a_film(network), 1),
        "hardware": HARDWARE,
        "protocol": f"from ImageNet's weights at {SIDE} px, seed {SEED}; single run",
    }


@torch.inference_mode()
def seconds_a_film(network: torch.nn.Module) -> float:
    film, times = torch.rand(1, 1, SIDE, SIDE), []
    for _ in range(30):
        began = time.process_time()
        network(film)
        times.append(time.process_time() - began)
    return min(times)


if __name__ == "__main__":
    main()
