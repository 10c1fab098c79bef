"""Runs side by side by what validation said of them. Reads only what a run wrote; no torch, no checkpoint."""

from __future__ import annotations

import csv
import json
import math
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from hilum.measures.figure import EvaluationError

DEEPEST = 3


class Standing(NamedTuple):
    """A run: `epochs` done of those planned, figures of the kept epoch on validation, `seconds` of training, and the
    size of the bundles in its folder (None where it was not exported there)."""

    run: str
    recipe: str
    network: str
    films: int
    epochs: int
    planned: int
    kept: int | None
    loss: float
    accuracy: float
    auc: float
    seconds: float
    device: str
    bundle_bytes: int | None

    def describe(self) -> dict[str, Any]:
        """Plain data for JSON; NaN, which it does not know, is null."""
        plain = self._asdict()
        return {key: None if isinstance(value, float) and math.isnan(value) else value for key, value in plain.items()}


def leaderboard(folder: Path) -> tuple[list[Standing], list[str]]:
    """Every run in or below a folder, the best AUC first; and the runs that could not be read, with the reason."""
    if not folder.is_dir():
        raise EvaluationError(f"{folder}: there is no such folder")
    standings, unread = [], []
    for run in _runs(folder, DEEPEST):
        try:
            standings.append(_standing(run, run.relative_to(folder).as_posix() if run != folder else folder.name))
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            unread.append(f"{run}: is no whole run ({type(error).__name__}: {error}); left out")
    if not standings and not unread:
        raise EvaluationError(f"{folder}: holds no run; name the folder in which `hilum train` keeps them")
    return sorted(standings, key=_rank), unread


def _rank(standing: Standing) -> tuple[float, str]:
    return (math.inf if math.isnan(standing.auc) else -standing.auc, standing.run)


def _runs(folder: Path, deeper: int) -> Iterator[Path]:
    if (folder / "run.json").is_file():
        yield folder
    elif deeper:
        for entry in sorted(folder.iterdir()):
            if entry.is_dir() and not entry.is_symlink() and not entry.name.startswith("."):
                yield from _runs(entry, deeper - 1)


def _standing(run: Path, name: str) -> Standing:
    facts = json.loads((run / "run.json").read_text(encoding="utf-8"))
    recipe = tomllib.loads((run / "recipe.toml").read_text(encoding="utf-8"))
    history = _history(run / "history.csv")
    kept = [row for row in history if row["best"]]
    best = kept[-1] if kept else {}
    bundles = [path.stat().st_size for path in sorted(run.glob("*.onnx"))]
    return Standing(
        run=name,
        recipe=recipe.get("title") or "untitled",
        network=recipe["network"]["name"],
        films=int(facts["films"]["train"]),
        epochs=len(history),
        planned=sum(int(phase["epochs"]) for phase in recipe["phases"]),
        kept=int(best["epoch"]) if best else None,
        loss=best.get("loss", math.nan),
        accuracy=best.get("accuracy", math.nan),
        auc=best.get("auc", math.nan),
        seconds=sum(row["seconds"] for row in history),
        device=str(facts["device"]),
        bundle_bytes=bundles[0] if bundles else None,
    )


def _history(path: Path) -> list[dict[str, float]]:
    if not path.is_file():  # no epoch is done yet
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [{key: float(value) for key, value in row.items()} for row in csv.DictReader(file)]
