"""The course of a run, and what a sweep found, as pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from textwrap import shorten

from matplotlib.figure import Figure

from hilum.system.pictures import write_figure
from hilum.system.text import printable
from hilum.training.recipe import Recipe
from hilum.training.sweep import Result, best_of


def draw_curves(history: list[dict[str, float]], recipe: Recipe, path: Path) -> None:
    """Losses, figures of validation and the learning rate by epoch; the epoch that is kept is marked."""
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    losses, figures, rates = figure.subplots(1, 3)
    losses.plot(epochs, [row["train_loss"] for row in history], label="training", color="#8a8f98")
    losses.plot(epochs, [row["loss"] for row in history], label="validation", color="#1f6feb")
    lines = (("auc", "#1f6feb"), ("accuracy", "#d29922"), ("balanced_accuracy", "#3fb950"))
    for name, color in (*lines, ("ap50", "#a371f7"), ("rsna_score", "#db61a2")):
        if name in history[0]:
            figures.plot(epochs, [row[name] for row in history], label=name.replace("_", " "), color=color)
    rates.plot(epochs, [row["learning_rate"] for row in history], color="#8a8f98")
    for axes, title in ((losses, "loss"), (figures, "validation"), (rates, "learning rate")):
        axes.set_title(title)
        axes.set_xlabel("epoch")
        axes.xaxis.get_major_locator().set_params(integer=True)
        axes.grid(alpha=0.25)
    kept = [row["epoch"] for row in history if row["best"]]
    if kept:
        for axes in (losses, figures):
            axes.axvline(kept[-1], color="#f85149", linestyle=":", label=f"kept, by {recipe.selection.metric}")
    for axes in (losses, figures):
        axes.legend(frameon=False, fontsize=8)
    rates.set_yscale("log")
    figure.suptitle(printable(recipe.title), fontsize=10, parse_math=False)
    write_figure(figure, path)


def draw_sweep(results: Sequence[Result], recipe: Recipe, path: Path) -> None:
    """A line for each combination: its best figure on validation, the course of it, and the time it took."""
    metric = recipe.selection.metric
    words = "AUC" if metric == "auc" else metric.replace("_", " ")
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
    found.set_yticks(range(len(results)), [result.combination.name for result in results], fontsize=8)
    found.set_ylim(len(results) - 0.5, -0.6)
    found.set_title(f"{words} on validation: the epoch that is kept (red: the best), and the others", fontsize=10)
    times.set_title("seconds of training", fontsize=10)
    for axes in (found, times):
        axes.grid(alpha=0.25)
    figure.suptitle(printable(recipe.title), fontsize=10, parse_math=False)
    write_figure(figure, path)
