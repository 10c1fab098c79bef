"""A sweep: every combination of some settings, each a run of its own in one directory, and one table of them all.

What has been done is read from the runs themselves, so a sweep goes on from wherever it was stopped.
"""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import tomllib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from hilum.dataset.manifest.manifest import load_manifest
from hilum.network.backbone import find_backbone
from hilum.system.files import write_whole
from hilum.training.recipe import Recipe, RecipeError, changed, recipe_from, to_toml
from hilum.training.run import Run, RunError, ended
from hilum.training.state import LOWER_IS_BETTER

DEFINITION, TABLE, PLOT = "sweep.json", "sweep.csv", "sweep.png"
# Intervals are of frozen bodies alone, where a head is fitted in seconds; the last two of detectors.
FIGURES = ("loss", "accuracy", "balanced_accuracy", "auc", "auc_low", "auc_high", "ap50", "rsna_score")
# What ends one combination and leaves the others: our own errors, and what torch says of films that are too small for a
# network or a network that is too large for the memory.
FAILURES = (RuntimeError, OSError)


@dataclass(frozen=True, slots=True)
class Combination:
    """One value for each setting that is varied."""

    settings: dict[str, str]
    recipe: Recipe
    run: Run

    @property
    def name(self) -> str:
        """Its settings in one line."""
        return ", ".join(f"{key}={value}" for key, value in self.settings.items())


@dataclass(frozen=True, slots=True)
class Sweep:
    """The recipe, the manifest, and the settings that are varied, with their values."""

    folder: Path
    recipe: Recipe
    manifest: Path
    settings: dict[str, list[str]]

    def combinations(self) -> list[Combination]:
        """Every combination of the settings' values, each with a recipe and a run of its own."""
        made = []
        for values in itertools.product(*self.settings.values()):
            settings = dict(zip(self.settings, values, strict=True))
            lines = [f"{key}={value}" for key, value in settings.items()]
            recipe = changed(self.recipe, lines)
            find_backbone(recipe.network.name)
            made.append(Combination(settings, recipe, Run(self.folder / quote(",".join(lines), safe="=,[]+ "))))
        return made


@dataclass(frozen=True, slots=True)
class Result:
    """What became of a combination: the epoch that is kept, or why there is none."""

    combination: Combination
    history: list[dict[str, float]]
    reason: str = ""

    @property
    def kept(self) -> dict[str, float] | None:
        """The figures of the epoch that is kept; None where the run gave none."""
        rows = [row for row in self.history if row["best"]]
        return rows[-1] if rows and not self.reason else None

    @property
    def seconds(self) -> float:
        """How long it trained."""
        return sum(row["seconds"] for row in self.history)


def parse_settings(texts: Sequence[str]) -> dict[str, list[str]]:
    """`section.key=a,b,c`, where a value may be a list in brackets."""
    settings: dict[str, list[str]] = {}
    for text in texts:
        key, _, listed = text.partition("=")
        values = [value.strip() for value in re.split(r",(?![^\[]*\])", listed)]
        if not key or not all(values):
            raise RecipeError(f"--sweep {text}: write section.key=a,b,c, as in training.batch_size=16,32,64")
        if key in settings or len(set(values)) < len(values):
            raise RecipeError(f"--sweep {text}: names a setting or a value twice")
        settings[key] = values
    return settings


def create_sweep(folder: Path, recipe: Recipe, settings: dict[str, list[str]], manifest: Path) -> Sweep:
    """The sweep in this folder; one that is there already must be the same."""
    sweep = Sweep(folder, recipe, manifest, settings)
    sweep.combinations()  # so that a wrong value is named before anything is trained
    definition = {
        "sweep": settings,
        "recipe": to_toml(recipe),
        "data": load_manifest(manifest).digest,
        "manifest": str(manifest.resolve()),
    }
    if is_sweep(folder):
        before = _definition(folder)
        for name in ("sweep", "recipe", "data"):
            if before[name] != definition[name]:
                raise RunError(
                    f"{folder}: holds a sweep with another {name}{_difference(before[name], definition[name])}; "
                    f"name another --out, or go on with that one: hilum train --resume {folder}"
                )
        return sweep
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: is not empty and holds no sweep; name another --out")
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / DEFINITION, json.dumps(definition, indent=2) + "\n")
    return sweep


def is_sweep(folder: Path) -> bool:
    """Whether a sweep was begun in this folder."""
    return (folder / DEFINITION).is_file()


def open_sweep(folder: Path) -> Sweep:
    """The sweep in this folder, as it was begun."""
    definition = _definition(folder)
    recipe = recipe_from(tomllib.loads(definition["recipe"]))
    return Sweep(folder, recipe, Path(definition["manifest"]), definition["sweep"])


def train_sweep(sweep: Sweep, train: Callable[[Combination], list[dict[str, float]]]) -> Iterator[Result]:
    """What becomes of each combination in turn; `train` is called for those that have not ended, and takes them up."""
    results: list[Result] = []
    for combination in sweep.combinations():
        history, reason = combination.run.read_history(), ""
        if not ended(combination.recipe, history):
            try:
                history = train(combination)
            except FAILURES as error:
                history, reason = combination.run.read_history(), (str(error) or type(error).__name__).splitlines()[0]
        if not reason and not any(row["best"] for row in history):
            reason = f"no epoch could be kept: {combination.recipe.selection.metric} was never a number"
        results.append(Result(combination, history, reason))
        write_table(sweep, results)
        yield results[-1]


def best_of(results: Sequence[Result], recipe: Recipe) -> Result | None:
    """By the recipe's metric on validation; the first of equals."""
    metric = recipe.selection.metric
    sign = 1 if metric in LOWER_IS_BETTER else -1
    return min(
        (result for result in results if result.kept is not None),
        key=lambda result: sign * (result.kept or {})[metric],
        default=None,
    )


def columns(sweep: Sweep) -> list[str]:
    """The header of the sweep's table for people."""
    return [*sweep.settings, *FIGURES, "kept_epoch", "epochs", "seconds", "reason"]


def cells(result: Result) -> list[str]:
    """The combination's line in the table; figures are those of the epoch that is kept, on validation."""
    kept = result.kept
    figures = [f"{kept[name]:.4f}" if name in kept else "" for name in FIGURES] if kept else [""] * len(FIGURES)
    epoch = f"{kept['epoch']:.0f}" if kept else ""
    took = [str(len(result.history)), f"{result.seconds:.1f}"]
    return [*result.combination.settings.values(), *figures, epoch, *took, result.reason]


def write_table(sweep: Sweep, results: Sequence[Result]) -> None:
    """The table as CSV in the sweep's folder."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*columns(sweep), "run"])
    writer.writerows([*cells(result), result.combination.run.folder.name] for result in results)
    write_whole(sweep.folder / TABLE, text.getvalue())


def _definition(folder: Path) -> dict[str, Any]:
    definition: dict[str, Any] = json.loads((folder / DEFINITION).read_text(encoding="utf-8"))
    return definition


def _difference(before: object, now: object) -> str:
    if isinstance(before, str):
        return ""
    return f" ({json.dumps(before)}, now {json.dumps(now)})"
