"""Folds: every film is left out once. Which films each fold learns from, is chosen by, and is judged on.

And where it all lies: a folder holds, for each fold, a manifest, the run that learned by it, and what the run's bundle
said of the films that it never saw. Whoever averages the bundles or looks at these predictions needs no torch for it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.split import SplitError, split_by_patient, split_into_folds

DEFINITION, TABLE, PREDICTIONS, MODEL = "folds.json", "folds.csv", "out-of-fold.csv", "model.onnx"


@dataclass(frozen=True, slots=True)
class Folds:
    """A folder of folds."""

    folder: Path
    count: int

    @classmethod
    def begun(cls, folder: Path) -> bool:
        """Whether folds were begun in this folder."""
        return (folder / DEFINITION).is_file()

    @classmethod
    def at(cls, folder: Path) -> Folds:
        """Those that were."""
        return cls(folder, json.loads((folder / DEFINITION).read_text(encoding="utf-8"))["folds"])

    def run(self, fold: int) -> Path:
        """The directory of its run."""
        return self.folder / name_of(fold)

    def manifest(self, fold: int) -> Path:
        """The films, those left out in a split that is called as the fold."""
        return self.folder / f"{name_of(fold)}.parquet"

    def bundle(self, fold: int) -> Path:
        """What its run ended in."""
        return self.run(fold) / MODEL

    def predictions(self, fold: int) -> Path:
        """What its bundle said of the films left out."""
        return self.run(fold) / PREDICTIONS


def name_of(fold: int) -> str:
    """What a fold is called, from 0 on."""
    return f"fold{fold}"


def leave_out_each(manifest: Manifest, count: int, seed: int = 1) -> tuple[list[Manifest], list[str]]:
    """A manifest for each fold: films of the fold are in a split of its name, all others in train and val.

    Folds that the manifest has already are taken as they are; else all films but those of a test split are dealt out by
    patient. A film is in one fold, and in one way only: what belongs to no split, or is linked to the test split, is in
    none of the manifests. Epochs and thresholds are chosen on `val`, so that nothing is chosen on the films left out.
    """
    side = manifest.table.select(side_of_film())[:, 0]
    names = [name_of(fold) for fold in range(count)]
    notices: list[str] = []
    if set(side.drop_nulls()) & set(names):
        there = {name for name in side.drop_nulls() if name.startswith("fold")}
        if there != set(names):
            raise SplitError(f"the manifest has {len(there)} folds, not {count}; say --folds {len(there)}")
        roles = side
    else:
        held = manifest.table.filter(side.is_not_null()) if side.null_count() < len(side) else manifest.table
        tested = side_of_film().eq("test").fill_null(False)
        apart = held.with_columns(official_split=pl.when(tested).then(pl.lit("test")))
        dealt, notices = split_into_folds(Manifest(apart, manifest.folder), count, seed=seed)
        by_path = dict(dealt.table.select("path", "split").iter_rows())
        roles = pl.Series([by_path.get(path) for path in manifest.table["path"]], dtype=pl.String)
    table = manifest.table.with_columns(split=roles).filter(roles.is_in([*names, "test"]))
    made = []
    for name in names:
        apart = table.with_columns(official_split=pl.when(pl.col("split").is_in([name, "test"])).then(pl.lit("test")))
        dealt, found = split_by_patient(Manifest(apart, manifest.folder), seed=seed)
        splits = [
            own if own in (name, "test") else new
            for own, new in zip(table["split"].to_list(), dealt.table["split"].to_list(), strict=True)
        ]
        own = table.with_columns(pl.Series("split", splits, pl.String))
        made.append(Manifest(own.filter(pl.col("split").is_not_null()), manifest.folder))
        notices += [f"{name}: {text}" for text in found if text.startswith("validation")]
    return made, notices
