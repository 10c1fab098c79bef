"""The course of a run as a picture."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from hilum.training.recipe import Recipe


def draw_curves(history: list[dict[str, float]], recipe: Recipe, path: Path) -> None:
    """Losses, figures of validation and the learning rate by epoch; the epoch that is kept is marked."""
    epochs = [row["epoch"] for row in history]
    figure = Figure(figsize=(12, 3.6), layout="constrained")
    losses, figures, rates = figure.subplots(1, 3)
    losses.plot(epochs, [row["train_loss"] for row in history], label="training", color="#8a8f98")
    losses.plot(epochs, [row["loss"] for row in history], label="validation", color="#1f6feb")
    for name, color in (("auc", "#1f6feb"), ("accuracy", "#d29922"), ("balanced_accuracy", "#3fb950")):
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
    figure.suptitle(recipe.title, fontsize=10)
    figure.savefig(path, dpi=110)
