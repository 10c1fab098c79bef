"""Folds to be trained: one recipe, as many runs as folds, each on all films but those of its fold.

What has been done is read from the folder itself, so folds go on from wherever they were stopped.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hilum.dataset.folds import DEFINITION, Folds, leave_out_each
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.system.files import write_whole
from hilum.training.recipe import Recipe, recipe_from, to_toml
from hilum.training.run import RunError
from hilum.training.start import Start

# What is written down of folds, for who asks for other ones in the same folder.
CALLED = {"folds": "number of folds", "recipe": "recipe", "data": "data set", "start": "model to go on from"}


@dataclass(frozen=True, slots=True, eq=False)
class FoldPlan:
    """A recipe, and the folds that it is trained on: a manifest for each.

    `start` is what every fold goes on from, if that is another network; once begun it lies in their folder.
    """

    folds: Folds
    recipe: Recipe
    data: str  # the digest of the films that are dealt out
    manifests: Sequence[Manifest]
    start: Start | None = None

    def begin(self) -> None:
        """Write down what is planned, if that was not done before."""
        folds = self.folds
        if Folds.begun(folds.folder):
            return
        folds.folder.mkdir(parents=True, exist_ok=True)
        if self.start is not None:
            self.start.save(folds.folder)
        for fold, apart in enumerate(self.manifests):
            save_manifest(apart, folds.manifest(fold))
        # Last, so that folds that are begun are whole.
        write_whole(folds.folder / DEFINITION, json.dumps(_definition(self), indent=2) + "\n")


def plan_folds(
    folder: Path, recipe: Recipe, manifest: Path, count: int, start: Start | None = None
) -> tuple[FoldPlan, list[str]]:
    """The folds for this folder, and what was decided on the way; those that are there already must be the same."""
    loaded = load_manifest(manifest)
    made, notices = leave_out_each(loaded, count)
    plan = FoldPlan(Folds(folder, count), recipe, loaded.digest, made, start)
    if Folds.begun(folder):
        before = json.loads((folder / DEFINITION).read_text(encoding="utf-8"))
        for name, value in _definition(plan).items():
            if before.get(name, "") != value:
                raise RunError(
                    f"{folder}: holds folds with another {CALLED[name]}; name another --out, or go on with those: "
                    f"hilum train --resume {folder}"
                )
        return plan, []
    if folder.exists() and any(folder.iterdir()):
        raise RunError(f"{folder}: is not empty and holds no folds; name another --out")
    if left_out := loaded.table.height - made[0].table.height:
        notices.append(f"{left_out:,} films are in no fold: they are in no split, or linked to the test split")
    return plan, notices


def open_folds(folder: Path) -> FoldPlan:
    """The folds in this folder, as they were begun."""
    definition = json.loads((folder / DEFINITION).read_text(encoding="utf-8"))
    folds, recipe = Folds(folder, definition["folds"]), recipe_from(tomllib.loads(definition["recipe"]))
    return FoldPlan(
        folds, recipe, definition["data"], [load_manifest(folds.manifest(fold)) for fold in range(folds.count)]
    )


def _definition(plan: FoldPlan) -> dict[str, Any]:
    start = "" if plan.start is None else f"{plan.start.name} {plan.start.digest}"
    return {"folds": plan.folds.count, "recipe": to_toml(plan.recipe), "data": plan.data, "start": start}
