"""Sweeps over what is decided after a detector's network: suppression, box size, score threshold.

For validation films alone: a setting chosen on the films that a figure is then stated for flatters it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import NamedTuple

import numpy as np
from matplotlib.figure import Figure

from hilum.measures.boxes.overlap import Detections, above, match, shrink, suppress
from hilum.measures.boxes.rsna_score import OVERLAPS, film_scores
from hilum.measures.figure import Floats
from hilum.system.pictures import drawable
from hilum.system.rows import write_csv

NMS_OVERLAPS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SHRINKAGES = (0.75, 0.8, 0.85, 0.9, 0.95, 1.0, 1.05, 1.1)
SCORE_THRESHOLDS = tuple(round(0.05 * step, 2) for step in range(1, 20))
COLORS = ("#1f6feb", "#d29922", "#3fb950", "#a371f7", "#db61a2", "#39c5cf")
KEPT_COLOR = "#f85149"


class Setting(NamedTuple):
    """What is decided after the network: see PANELS for what each means."""

    nms_overlap: float
    shrinkage: float
    score_threshold: float


PANELS = {
    "nms_overlap": "boxes that overlap by more are one",
    "shrinkage": "sides of the boxes multiplied by",
    "score_threshold": "boxes are kept from this score on",
}


class Grid(NamedTuple):
    """What is tried of each, in every combination."""

    nms_overlaps: Sequence[float] = NMS_OVERLAPS
    shrinkages: Sequence[float] = SHRINKAGES
    score_thresholds: Sequence[float] = SCORE_THRESHOLDS


WHOLE = Grid()


class Swept(NamedTuple):
    """The challenge's score of one setting."""

    setting: Setting
    score: float


def sweep(
    truths: Sequence[Floats],
    raw: Sequence[Detections],
    *,
    prevalence: float | None = None,
    grid: Grid = WHOLE,
) -> list[Swept]:
    """Every combination, on validation films and their predictions before suppression.

    The challenge's score hangs on how many films have boxes at all, because each film without one costs where anything
    is drawn on it. With a `prevalence` films count as if this share of them had boxes.
    """
    weights = film_weights(truths, prevalence)
    # What is cut away by score suppresses nothing that stays, so it can go first.
    raw = [above(found, min(grid.score_thresholds)) for found in raw]
    rows = []
    for nms_overlap in grid.nms_overlaps:
        kept = [suppress(found, nms_overlap) for found in raw]
        for shrinkage in grid.shrinkages:
            matches = match(truths, [shrink(found, shrinkage) for found in kept], OVERLAPS)
            for threshold in grid.score_thresholds:
                score = weighted_mean(film_scores(matches, threshold), weights)
                rows.append(Swept(Setting(nms_overlap, shrinkage, threshold), score))
    return rows


def film_weights(truths: Sequence[Floats], prevalence: float | None) -> Floats:
    """What each film counts, so that those with boxes make up the share `prevalence` of all."""
    opaque = np.array([len(boxes) > 0 for boxes in truths])
    if prevalence is None or opaque.all() or not opaque.any():
        return np.ones(len(truths))
    weights: Floats = np.where(opaque, prevalence / opaque.mean(), (1 - prevalence) / (1 - opaque.mean()))
    return weights


def weighted_mean(scores: Floats, weights: Floats) -> float:
    """Of the films that count."""
    counted = ~np.isnan(scores)
    return float(np.average(scores[counted], weights=weights[counted])) if counted.any() else float("nan")


def choose(sweeps: Mapping[str, Sequence[Swept]]) -> Swept:
    """The setting with the best score on the mean of all sweeps, which must be over the same settings."""
    scores = np.mean([[row.score for row in rows] for rows in sweeps.values()], axis=0)
    settings = [row.setting for row in next(iter(sweeps.values()))]
    best = int(np.argmax(scores))
    return Swept(settings[best], float(scores[best]))


def write_sweep(sweeps: Mapping[str, Sequence[Swept]], path: Path) -> None:
    """Every setting that was tried, for each run or fold, and its score."""
    header = ("films", *Setting._fields, "rsna_score")
    tried = [(title, *row.setting, f"{row.score:.5f}") for title, rows in sweeps.items() for row in rows]
    write_csv(path, [header, *tried])


def draw_sweeps(sweeps: Mapping[str, Sequence[Swept]], chosen: Swept) -> Figure:
    """A panel for each thing swept, the others being as chosen; a line for each run or fold, and their mean."""
    figure = Figure(figsize=(12, 4), layout="constrained")
    panels = figure.subplots(1, len(PANELS), sharey=True)
    for axes, (name, meaning) in zip(panels, PANELS.items(), strict=True):
        lines = []
        for (title, rows), color in zip(sweeps.items(), cycle(COLORS), strict=False):
            line = [row for row in rows if row.setting._replace(**{name: 0}) == chosen.setting._replace(**{name: 0})]
            places, scores = [getattr(row.setting, name) for row in line], [row.score for row in line]
            here = next(row.score for row in line if row.setting == chosen.setting)
            axes.plot(places, scores, color=color, marker="o", markersize=3, label=f"{drawable(title)}: {here:.3f}")
            lines.append(scores)
        if len(lines) > 1:
            axes.plot(places, np.mean(lines, axis=0), color="#24292f", linewidth=2.5, label=f"mean: {chosen.score:.3f}")
        kept = getattr(chosen.setting, name)
        axes.axvline(kept, color=KEPT_COLOR, linestyle=":", label="chosen")
        axes.set_title(f"{name.replace('_', ' ').replace('nms', 'NMS')}: {kept:g} chosen", fontsize=10)
        axes.set_xlabel(meaning)
        axes.grid(alpha=0.25)
    panels[0].set_ylabel("RSNA score on validation")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right upper", frameon=False, fontsize=8)
    return figure
