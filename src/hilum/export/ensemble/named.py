"""What a person names to make an ensemble of: bundles, runs or folds, and the films that settle the rest."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from hilum.bundle.card import BundleError
from hilum.bundle.shipped import find_bundle
from hilum.dataset.folds import MODEL, Folds
from hilum.evaluation.predictions import Predictions, join_predictions, load_predictions


class OutOfFold(NamedTuple):
    """What every film's one network that never saw it said of it, and a manifest of all these films."""

    predictions: Predictions
    manifest: Path


class Named(NamedTuple):
    """The bundles, and what calibrates their mean: films, or predictions out of fold."""

    bundles: list[Path]
    val: Path | None
    out_of_fold: OutOfFold | None


def named(paths: Sequence[Path], val: Path | None) -> Named:
    """Raises BundleError where nothing could calibrate an ensemble of these."""
    bundles = [bundle for path in paths for bundle in _bundles(path)]
    if len(bundles) < 2:
        raise BundleError("an ensemble is made of at least two bundles; name several, or the folder of folds")
    if val is not None:
        return Named(bundles, val, None)
    if len(paths) == 1 and Folds.begun(paths[0]):
        folds = Folds.at(paths[0])
        return Named(bundles, None, OutOfFold(join_predictions(_out_of_fold(folds)), folds.manifest(0)))
    return Named(bundles, _manifest_of_runs(bundles), None)


def _bundles(path: Path) -> list[Path]:
    if not path.is_dir():
        if not (found := find_bundle(path)).is_file():
            raise BundleError(f"{found}: there is no such bundle")
        return [found]
    if Folds.begun(path):
        folds = Folds.at(path)
        bundles = [folds.bundle(fold) for fold in range(folds.count)]
        for fold, bundle in enumerate(bundles):
            if not bundle.is_file():
                raise BundleError(f"{path}: fold {fold} has no bundle yet; go on with: hilum train --resume {path}")
        return bundles
    if (path / MODEL).is_file():
        return [path / MODEL]
    raise BundleError(f"{path}: a folder without folds, and without {MODEL} of a run; name bundles (.onnx)")


def _out_of_fold(folds: Folds) -> list[Predictions]:
    for fold in range(folds.count):
        if not folds.predictions(fold).is_file():
            raise BundleError(
                f"{folds.folder}: fold {fold} was not judged yet; go on with: hilum train --resume {folds.folder}"
            )
    return [load_predictions(folds.predictions(fold)) for fold in range(folds.count)]


def _manifest_of_runs(bundles: Sequence[Path]) -> Path:
    """The manifest that all bundles were trained on, as their runs say, in whose folders they lie."""
    manifests, data = set(), set()
    for bundle in bundles:
        facts = bundle.parent / "run.json"
        if not facts.is_file():
            raise BundleError(
                "an ensemble is calibrated on films of known truth that none of its bundles learned from: name a "
                "manifest that has some in split val, with --val"
            )
        stated = json.loads(facts.read_text(encoding="utf-8"))
        manifests.add(stated["manifest"])
        data.add(stated["data"])
    if len(data) > 1 or not Path(next(iter(manifests))).is_file():
        raise BundleError("these runs learned from several data sets: name films that none learned from with --val")
    return Path(sorted(manifests)[0])
