"""The picture of results/robustness.py: a panel for each change, figures against strength."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from robustness_changes import CHANGES, Change

from hilum.evaluation.report.plots import DASHES, QUIET, SERIES, STYLE

if TYPE_CHECKING:
    from robustness import Row

SHOWN = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "turned_away": "turned away by the gate",
    "mean_change": "mean change of probability",
}
COLUMNS = 3


def draw(as_is: Row, rows: Sequence[Row], title: str, path: Path) -> None:
    with mpl.rc_context(STYLE):
        height = -(-len(CHANGES) // COLUMNS)
        canvas = Canvas(figsize=(3.2 * COLUMNS, 2.25 * height + 0.8), layout="constrained")
        panels = canvas.subplots(height, COLUMNS, sharey=True).ravel()
        for axes, change in zip(panels, CHANGES, strict=False):
            panel(axes, change, as_is, [row for row in rows if row.change == change.name])
        for axes in panels[len(CHANGES) :]:
            axes.set_axis_off()
        handles, labels = panels[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=len(SHOWN), columnspacing=1.2)
        canvas.suptitle(title, fontsize=10)
        canvas.savefig(path, dpi=100, facecolor="white", metadata={"Software": None})


def panel(axes: Axes, change: Change, as_is: Row, rows: Sequence[Row]) -> None:
    """Lines over numbers, with the film as it is at its place; only dots over words."""
    places: list[float] = [float(row.strength) if change.neutral is not None else n for n, row in enumerate(rows)]
    if change.neutral is not None:
        points = sorted([(change.neutral, as_is), *zip(places, rows, strict=True)], key=lambda point: point[0])
        places, rows = [place for place, _ in points], [row for _, row in points]
        axes.axvline(change.neutral, color=QUIET, linewidth=1, linestyle=":")
    else:
        axes.set_xticks(places, [str(row.strength) for row in rows])
    for number, (name, label) in enumerate(SHOWN.items()):
        line = DASHES[number] if change.neutral is not None else "none"
        values = [getattr(row, name) for row in rows]
        axes.plot(places, values, marker="os^vD"[number], markersize=3.5, color=SERIES[number], ls=line, label=label)
    axes.set(title=change.name, xlabel=change.unit, ylim=(-0.03, 1.03))
    axes.grid(True)
    axes.set_axisbelow(True)
