"""Pictures of robustness: figures against strength, a panel for each change; one by one, or all in one PNG."""

from __future__ import annotations

from collections.abc import Sequence
from io import BytesIO

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas

from hilum.evaluation.report.plots import DASHES, QUIET, SERIES, SIDE, STYLE, Plot
from hilum.evaluation.robustness.changes import CHANGES, Change
from hilum.evaluation.robustness.robustness import Robustness, Row

SHOWN = {
    "auroc": "AUROC",
    "sensitivity": "sensitivity",
    "specificity": "specificity",
    "turned_away": "turned away by the gate",
    "mean_change": "mean change of probability",
}
COLUMNS = 3


def draw(made: Robustness) -> bytes:
    """All panels in one PNG, for a paper or a page of documentation."""
    with mpl.rc_context(STYLE):
        height = -(-len(CHANGES) // COLUMNS)
        canvas = Canvas(figsize=(3.2 * COLUMNS, 2.25 * height + 0.8), layout="constrained")
        panels = canvas.subplots(height, COLUMNS, sharey=True).ravel()
        for axes, change in zip(panels, CHANGES, strict=False):
            _panel(axes, change, made.as_is, made.of(change))
            axes.set_title(change.name)
        for axes in panels[len(CHANGES) :]:
            axes.set_axis_off()
        handles, labels = panels[0].get_legend_handles_labels()
        canvas.legend(handles, labels, loc="outside lower center", ncols=len(SHOWN), columnspacing=1.2)
        canvas.suptitle(
            f"{made.model}, {made.as_is.films:,} films, operating point {made.operating_point}", fontsize=10
        )
        written = BytesIO()
        canvas.savefig(written, format="png", dpi=100, facecolor="white", metadata={"Software": None})
    return written.getvalue()


def panels(made: Robustness) -> list[Plot]:
    """Each change as a picture of its own, which finds its place on a narrow screen, too."""
    return [_plot(made, change) for change in CHANGES]


def _plot(made: Robustness, change: Change) -> Plot:
    rows = made.of(change)
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(SIDE, 0.8 * SIDE), layout="constrained")
        axes = canvas.subplots()
        _panel(axes, change, made.as_is, rows)
        canvas.legend(loc="outside upper left", ncols=2, borderaxespad=0.1, columnspacing=1.2, fontsize=8)
    worst = min(rows, key=lambda row: row.auroc)
    says = f"{change.name}: AUROC {made.as_is.auroc:.3f} as it is, lowest {worst.auroc:.3f} at {worst.strength}."
    caption = f"{change.name[0].upper()}{change.name[1:]} ({change.unit})."
    return Plot(f"robustness-{change.name.replace(' ', '-').lower()}", caption, says, canvas)


def _panel(axes: Axes, change: Change, as_is: Row, rows: Sequence[Row]) -> None:
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
    axes.set(xlabel=change.unit, ylim=(-0.03, 1.03))
    axes.grid(True)
    axes.set_axisbelow(True)
