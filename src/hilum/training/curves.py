"""The course of a run, and what a sweep found, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from matplotlib.figure import Figure

from hilum.system.pictures import drawable, write_figure
from hilum.training.recipe import Recipe
from hilum.training.series.sweep import Result, best_of

TRAINING, VALIDATION, OTHER, KEPT = "#8a8f98", "#1f6feb", "#d29922", "#f85149"
# The figures of validation as a reader knows them.
NAMES = {
    "loss": "loss",
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUROC",
    "ap50": "AP50 of boxes",
    "rsna_score": "RSNA score of boxes",
    "joined": "AUROC of both views, mean of sources",
    "dice": "Dice of lungs",
}
Lines = Sequence[tuple[str, str, str]]  # of one panel: column of the history, name, color


def draw_curves(history: list[dict[str, float]], recipe: Recipe, path: Path) -> None:
    """Losses, figures of training and validation and the learning rate by epoch; the epoch that is kept is marked."""
    panels: list[tuple[str, Lines]] = [
        ("loss", [("train_loss", "training", TRAINING), ("loss", "validation", VALIDATION)]),
        (
            "accuracy",
            [
                ("train_accuracy", "training, on films as varied", TRAINING),
                ("accuracy", "validation", VALIDATION),
                ("balanced_accuracy", "validation, classes weighed alike", OTHER),
            ],
        ),
        ("AUROC, area under the ROC curve", [("auc", "validation", VALIDATION), ("joined", NAMES["joined"], OTHER)]),
        ("boxes", [("ap50", NAMES["ap50"], VALIDATION), ("rsna_score", NAMES["rsna_score"], OTHER)]),
        ("lungs", [("dice", NAMES["dice"], VALIDATION), ("iou", "intersection over union of lungs", OTHER)]),
        ("learning rate", [("learning_rate", "", TRAINING)]),
    ]
    shown = [(title, there) for title, lines in panels if (there := [line for line in lines if line[0] in history[0]])]
    figure = Figure(figsize=(4 * len(shown), 3.6), layout="constrained")
    kept = [row["epoch"] for row in history if row["best"]]
    for axes, (title, lines) in zip(figure.subplots(1, len(shown)), shown, strict=True):
        for column, name, color in lines:
            values = [row[column] for row in history]
            axes.plot([row["epoch"] for row in history], values, marker="o", markersize=3, label=name, color=color)
        axes.set_title(title, fontsize=10)
        axes.set(xlabel="epoch", xlim=(0.5, len(history) + 0.5))
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
        if title == "learning rate":
            axes.set_yscale("log")
            continue
        if kept:
            axes.axvline(kept[-1], color=KEPT, linestyle=":", label=f"kept, by {NAMES[recipe.selection.metric]}")
        axes.legend(frameon=False, fontsize=8)
    figure.suptitle(drawable(recipe.title), fontsize=10, parse_math=False)
    write_figure(figure, path)


def draw_sweep(results: Sequence[Result], recipe: Recipe, path: Path) -> None:
    """A line for each combination: its best figure on validation, the course of it, and the time it took."""
    metric = recipe.selection.metric
    best = best_of(results, recipe)
    figure = Figure(figsize=(12, 1.6 + 0.34 * len(results)), layout="constrained")
    found, times = figure.subplots(1, 2, sharey=True, width_ratios=(3, 1))
    for place, result in enumerate(results):
        color = "#f85149" if result is best else "#1f6feb"
        course = [row[metric] for row in result.history]
        found.plot(course, [place] * len(course), "|", color="#8a8f98", markersize=7)
        if result.kept is None:
            found.text(
                0.01, place, shorten(result.reason, 80), transform=found.get_yaxis_transform(), va="center", fontsize=8
            )
        else:
            value = result.kept[metric]
            found.plot([value], [place], "o", color=color)
            found.annotate(f"{value:.4f}", (value, place), (0, 6), textcoords="offset points", ha="center", fontsize=7)
        times.barh(place, result.seconds, color=color, height=0.5)
    found.set_yticks(range(len(results)), [drawable(result.combination.name) for result in results], fontsize=8)
    found.set_ylim(len(results) - 0.5, -0.6)
    found.set_title(
        f"{NAMES[metric]} on validation: the epoch that is kept (red: the best), and the others", fontsize=10
    )
    times.set_title("seconds of training", fontsize=10)
    for axes in (found, times):
        axes.grid(alpha=0.25)
    figure.suptitle(drawable(recipe.title), fontsize=10, parse_math=False)
    write_figure(figure, path)
