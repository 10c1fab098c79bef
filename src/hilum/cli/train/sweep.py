"""A sweep for `hilum train`: combination after combination, then the table, the plot and the best."""

from __future__ import annotations

from textwrap import shorten
from typing import TYPE_CHECKING

import typer
from rich.console import Console

from hilum.cli.terminal.table import print_table
from hilum.cli.train.run import Task, train_run

if TYPE_CHECKING:
    import torch

    from hilum.training.processes import Processes
    from hilum.training.sweep import Combination, Result, Sweep


def train_combinations(sweep: Sweep, device: torch.device, processes: Processes, said: Console) -> None:
    """Exit code 1 if a combination failed; the others are trained all the same."""
    from hilum.training.curves import draw_sweep
    from hilum.training.sweep import PLOT, TABLE, best_of, cells, columns, train_sweep

    if processes.count > 1:
        raise typer.BadParameter(
            "a sweep runs in one process; leave torchrun out, or train its combinations one by one"
        )
    count = len(sweep.combinations())
    said.print(f"sweep: {count} combinations in {sweep.folder}")
    results: list[Result] = []

    def train(combination: Combination) -> list[dict[str, float]]:
        said.print(f"\ncombination {len(results) + 1} of {count}: {combination.name}")
        return train_run(Task(combination.run.folder, combination.recipe, sweep.manifest), device, processes, said)

    for result in train_sweep(sweep, train):
        results.append(result)
        if result.reason:
            said.print(f"failed: {result.combination.name}: {result.reason}")
    said.print()
    print_table(columns(sweep), [[*told, shorten(reason, 60)] for *told, reason in map(cells, results)])
    draw_sweep(results, sweep.recipe, sweep.folder / PLOT)
    best = best_of(results, sweep.recipe)
    if best is not None and best.kept is not None:
        metric = sweep.recipe.selection.metric
        said.print(f"best, by {metric} on validation: {best.combination.name}: {best.kept[metric]:.4f}")
        said.print(f"its run: {best.combination.run.folder}")
    said.print(f"table: {sweep.folder / TABLE}; plot: {sweep.folder / PLOT}; or: tensorboard --logdir {sweep.folder}")
    if any(result.reason for result in results):
        raise typer.Exit(1)
