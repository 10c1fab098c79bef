"""The course of a run for TensorBoard: the figures of an epoch as events in the run's directory."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

SCALARS = {
    "loss/training": "train_loss",
    "loss/validation": "loss",
    "training/accuracy": "train_accuracy",
    "validation/accuracy": "accuracy",
    "validation/balanced accuracy": "balanced_accuracy",
    "validation/AUC": "auc",
    "validation/AP50 of boxes": "ap50",
    "validation/RSNA score": "rsna_score",
    "training/learning rate": "learning_rate",
    "training/images a second": "images_per_second",
}


@contextmanager
def event_log(folder: Path, epochs_done: int) -> Iterator[Callable[[dict[str, float]], None]]:
    """Writes rows of the history; a run that was taken up first takes back what was written beyond where it goes on."""
    from torch.utils.tensorboard import SummaryWriter  # loads slowly, and only training needs it

    with SummaryWriter(folder, purge_step=epochs_done + 1) as writer:

        def write(row: dict[str, float]) -> None:
            for tag, name in SCALARS.items():
                if math.isfinite(row.get(name, math.nan)):
                    writer.add_scalar(tag, row[name], int(row["epoch"]))
            writer.flush()

        yield write
