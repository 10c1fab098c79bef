"""Histories of runs as one table: python results/training.py RUN... > results/training.csv

A row an epoch; what a run's recipe changed against the shipped recipe of its title stands in `settings`.
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from typing import Any

from hilum.training.recipe import load_recipe, shipped_recipes
from hilum.training.run import Run

HARDWARE = "2 cores (x86-64, AVX-512 with bf16), no GPU; shared with other work"
COLUMNS = (
    *("recipe", "settings", "weights", "films", "planned_epochs", "seed", "epoch", "phase", "train_loss", "loss"),
    *("accuracy", "balanced_accuracy", "auc", "seconds", "best_so_far", "torch", "hilum", "hardware"),
)


def main() -> None:
    writer = csv.DictWriter(sys.stdout, COLUMNS, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    shipped = {name: load_recipe(name) for name in shipped_recipes()}
    for folder in map(Path, sys.argv[1:]):
        run, facts = Run(folder), Run(folder).facts()
        recipe = run.recipe()
        begins = [name for name, known in shipped.items() if recipe.title.startswith(known.title)]
        name = max(begins, key=lambda name: len(shipped[name].title))
        facts = {
            "recipe": name,
            "settings": " ".join(changes(shipped[name].as_dict(), recipe.as_dict())),
            "films": facts["films"]["train"],
            "planned_epochs": recipe.epochs,
            "seed": recipe.training.seed,
            "hardware": HARDWARE,
            **{key: facts[key] for key in ("weights", "torch", "hilum")},
        }
        for row in run.read_history():
            best = {"best_so_far": int(row["best"]), "epoch": int(row["epoch"]), "phase": int(row["phase"])}
            writer.writerow({**facts, **row, **best, "seconds": round(row["seconds"])})


def changes(before: Any, after: Any, where: str = "") -> list[str]:
    """`section.key=value` for each value that differs."""
    if isinstance(before, dict) and isinstance(after, dict):
        return [change for key in after for change in changes(before[key], after[key], f"{where}{key}.")]
    if isinstance(before, list) and isinstance(after, list) and len(before) == len(after) and where == "phases.":
        return [
            change for place in range(len(after)) for change in changes(before[place], after[place], f"{where}{place}.")
        ]
    if before == after or where == "title.":  # it says no more than the settings
        return []
    value = Path(after).name if isinstance(after, str) else after
    return [f"{where.rstrip('.')}={value}"]


if __name__ == "__main__":
    main()
