"""The Run: a directory with the recipe, the history, the checkpoints, the curves and the best weights."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.system.files import write_whole
from hilum.training.recipe import Recipe, recipe_from, to_toml

# What lies in a run's folder before it begins, where it goes on from another network.
STARTS = ("start.safetensors", "start.json")


class RunError(RuntimeError):
    """A run that cannot be started or taken up; one line with what to do."""


@dataclass(frozen=True, slots=True)
class Run:
    """Where things lie in a run's directory."""

    folder: Path

    @property
    def checkpoints(self) -> Path:
        """The folder of checkpoints."""
        return self.folder / "checkpoints"

    @property
    def best(self) -> Path:
        """The checkpoint of the epoch that is kept."""
        return self.folder / "checkpoints" / "best.ckpt"

    @property
    def history(self) -> Path:
        """The figures of each epoch as CSV."""
        return self.folder / "history.csv"

    @property
    def curves(self) -> Path:
        """The picture of the history."""
        return self.folder / "curves.png"

    def exists(self) -> bool:
        """Whether a run was begun here."""
        return (self.folder / "run.json").is_file() and (self.folder / "recipe.toml").is_file()

    def recipe(self) -> Recipe:
        """The recipe that it was begun with."""
        import tomllib

        return recipe_from(tomllib.loads((self.folder / "recipe.toml").read_text(encoding="utf-8")))

    def facts(self) -> dict[str, Any]:
        """What run.json holds: what was known when it began, of data, network and machine."""
        facts: dict[str, Any] = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return facts

    def read_history(self) -> list[dict[str, float]]:
        """A row for each finished epoch."""
        if not self.history.is_file():
            return []
        with self.history.open(newline="", encoding="utf-8") as file:
            return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]

    def write_history(self, rows: list[dict[str, float]]) -> None:
        """One row an epoch; detectors have figures of boxes beside the others."""
        lines = [",".join(rows[0])] if rows else []
        lines += [",".join(f"{value:.6g}" for value in row.values()) for row in rows]
        write_whole(self.history, "\n".join(lines) + "\n")


def ended(recipe: Recipe, history: list[dict[str, float]]) -> bool:
    """Whether training is over: every epoch is done, or enough passed without improvement."""
    misses = 0
    for row in history:
        misses = 0 if row["best"] else misses + (row["epoch"] > recipe.selection.after_epoch)
    return len(history) >= recipe.epochs or 0 < recipe.selection.patience <= misses


def create_run(folder: Path, recipe: Recipe, facts: Mapping[str, Any]) -> Run:
    """A new run in an empty or new folder."""
    if folder.exists() and any(file.name not in STARTS for file in folder.iterdir()):
        raise RunError(f"{folder}: is not empty; take the run in it up with --resume {folder}, or name another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "recipe.toml", to_toml(recipe))
    write_whole(folder / "run.json", json.dumps(dict(facts), indent=2) + "\n")
    return Run(folder)


def open_run(folder: Path) -> Run:
    """The run in this folder; RunError if there is none."""
    if not Run(folder).exists():
        raise RunError(f"{folder}: holds no run; name the directory that `hilum train` wrote")
    return Run(folder)


def check_unchanged(run: Run, facts: Mapping[str, Any]) -> str | None:
    """A run goes on bit for bit only under the same recipe, data, versions and threads; what differs is named.

    A machine that was lost must not end it, so another number of processes is no more than said: the notice.
    """
    before = run.facts()
    alike = before["processes"] == facts["processes"]
    for name in ("recipe", "data", "store", "torch", "device", *(("threads",) if alike else ())):
        if before[name] != facts[name]:
            raise RunError(
                f"{run.folder}: {name} was {before[name]} and is {facts[name]} now; a run goes on only under the same "
                "conditions: restore them, or start a new run"
            )
    if alike:
        return None
    return (
        f"begun in {_processes(before['processes'])}, goes on in {_processes(facts['processes'])}: the losses are "
        "those of the same batches, the weights not the same bit for bit"
    )


def _processes(count: int) -> str:
    return "one process" if count == 1 else f"{count} processes"
