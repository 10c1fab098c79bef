"""What helps a detector, tried one thing at a time against the recipe `boxes`, judged on validation films alone.

    python results/box_tries.py SIIM.parquet FOLDER > results/box-tries.csv

SIIM.parquet is what results/model_data.py writes: folds 2 to 4 to train, 1 for validation. A third of the patients that
train and half of those of validation take part, for two epochs, so that a try costs a tenth of a whole run; each is a
sweep of one value. What is done is not done again. The recipe itself is tried with two seeds: what differs less than
these two do is not told apart.
"""

from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import polars as pl
import torch

from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.training.checkpoint import load_latest
from hilum.training.fit import judge
from hilum.training.prepare import prepare
from hilum.training.processes import Processes
from hilum.training.run import Run

EPOCHS = 2
TRIES: dict[str, list[str]] = {
    "the recipe, seed 0": ["training.seed=0"],
    "the recipe, seed 1": ["training.seed=1"],
    "image-level weight 1.5 instead of 0.5": ["detector.image_weight=1.5"],
    "box loss L1 instead of GIoU": ["detector.box_loss=l1"],
    "stronger augmentation": [
        "augmentation.rotation=12",
        "augmentation.zoom=[0.8, 1.4]",
        "augmentation.translation=0.1",
        "augmentation.brightness=0.3",
        "augmentation.contrast=0.3",
        "augmentation.gamma=[0.7, 1.4]",
        "augmentation.blur=1.0",
        "augmentation.noise=0.02",
    ],
    "EfficientNet-Lite2 instead of Lite0": ["network.name=efficientnet_lite2"],
    "mosaic of half of the films": ["detector.mosaic=0.5"],
}
FIGURES = ("ap50", "rsna_score", "auc", "loss", "seconds")


def main() -> None:
    manifest, folder = load_manifest(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    films = folder / "films.parquet"
    save_manifest(part_of(manifest), films)
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(("try", *(f"{figure}_{epoch + 1}" for epoch in range(EPOCHS) for figure in FIGURES)))
    for name, (setting, *more) in TRIES.items():
        sweep = folder / name.replace(" ", "-").replace(",", "")
        # The recipe had this loss when it was tried.
        settings = [f"phases.0.epochs={EPOCHS}", "training.compile=true", "detector.box_loss=giou", *more]
        begin = [str(films), "--recipe", "boxes", *(f"--set={one}" for one in settings), "--sweep", setting]
        how = ["--resume", str(sweep)] if sweep.exists() else [*begin, "--out", str(sweep)]
        subprocess.run(["hilum", "train", *how], check=True, stdout=sys.stderr)
        (folder_of_run,) = (path.parent for path in sweep.glob("*/history.csv"))
        history = Run(folder_of_run).read_history()
        writer.writerow((name, *(round(row[figure], 4) for row in history for figure in FIGURES)))
        if setting.startswith("training.seed"):
            plain = without_averaging(folder_of_run, films)
            unknown = [""] * (len(FIGURES) * (EPOCHS - 1))
            writer.writerow((f"{name}, no averaged weights", *unknown, *(round(plain[f], 4) for f in FIGURES[:-1])))
        sys.stdout.flush()


def without_averaging(folder: Path, films: Path) -> dict[str, float]:
    """Averaging leaves the training itself as it is, so one run has the weights of both."""
    run, device = Run(folder), torch.device("cpu")
    prepared = prepare(load_manifest(films), run.recipe(), device, Processes())
    saved = load_latest(run.checkpoints, device)
    assert saved is not None
    prepared.task.network.load_state_dict(saved["network"])
    return judge(prepared.task, prepared.task.network, prepared.val, torch.channels_last, None)


def part_of(manifest: Manifest) -> Manifest:
    """Every third training patient and every second of validation, in the order of their names."""
    kept = []
    for split, step in (("train", 3), ("val", 2)):
        films = manifest.table.filter(pl.col("split") == split)
        patients = films["patient"].unique().sort().gather_every(step)
        kept.append(films.filter(pl.col("patient").is_in(patients.to_list())))
    return Manifest(pl.concat(kept), manifest.folder)


if __name__ == "__main__":
    main()
