"""The pictures of a report: drawn once, as SVG that takes the page's colors, or as PNG.

Every plot comes with a sentence that says the same to whoever cannot see it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO, StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.ticker import MaxNLocator

from hilum.measures.boxes.froc import FrocCurve
from hilum.measures.figure import Bools, Figure, Floats
from hilum.measures.films.abstention import RiskCoverage
from hilum.measures.films.binary import Curve, ppv
from hilum.measures.films.calibration import Bin
from hilum.measures.films.decision_curve import DecisionCurve
from hilum.system.pictures import drawable

# Colors that stand for variables of the page's style, so that one SVG serves light and dark. They do on white, too.
INK, QUIET, GRID = "#1b1f25", "#5a6473", "#d9dde4"
SERIES = ("#0b57b1", "#b4531a", "#2f7d4a", "#7a4bb0", "#8a6d00", "#4a6070")
VARIABLES = {INK: "--text", QUIET: "--quiet", GRID: "--line"} | {c: f"--series-{n}" for n, c in enumerate(SERIES, 1)}
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (3, 1, 1, 1)))  # told apart without color, too
STYLE: Any = {  # a plain dict; the stubs of rc_context want every key spelled out
    "svg.fonttype": "none",
    "font.family": "sans-serif",
    "font.size": 10,
    "text.color": INK,
    "axes.labelcolor": INK,
    "axes.edgecolor": QUIET,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "xtick.color": QUIET,
    "ytick.color": QUIET,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,  # a model may be called $x$
    "legend.frameon": False,
    "legend.fontsize": 9,
}
SIDE = 4.6
MARKERS = ("o", "s", "^", "D", "v", "P")


@dataclass(frozen=True, slots=True, eq=False)
class Plot:
    """`name` is a file name without its ending, `caption` what is seen, `says` the sentence for who cannot see it."""

    name: str
    caption: str
    says: str
    canvas: Canvas

    def svg(self) -> str:
        """The figure for a page, without what changes from day to day."""
        written = StringIO()
        with mpl.rc_context(STYLE | {"svg.hashsalt": self.name}):
            self.canvas.savefig(written, format="svg", transparent=True, metadata={"Date": None})
        return _for_a_page(written.getvalue(), self.name)

    def svg_file(self) -> bytes:
        """The figure as a file of its own, for a paper: dark on white, its text as text."""
        written = BytesIO()
        with mpl.rc_context(STYLE | {"svg.hashsalt": self.name}):
            self.canvas.savefig(written, format="svg", facecolor="white", metadata={"Date": None})
        return written.getvalue()

    def png(self) -> bytes:
        """The figure for a reader that shows no SVG."""
        written = BytesIO()
        with mpl.rc_context(STYLE):
            self.canvas.savefig(written, format="png", dpi=144, facecolor="white", metadata={"Software": None})
        return written.getvalue()


def _for_a_page(svg: str, name: str) -> str:
    """The bare element: colors from the page, text in the page's font, no ids that another plot has as well."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(
        r' id="(?:figure|axes|patch|line2d|text|legend|matplotlib|xtick|ytick|\w*Collection)[\w.]*_\d+"', "", svg
    )
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    svg = re.sub(r'xlink:href="#', f'href="#{name}-', svg)
    svg = re.sub(r"font: ?([\d.]+)px [^;\"]*", r"font-size: \1px", svg)
    svg = re.sub(r'width="[\d.]+pt" height="[\d.]+pt"', "", svg, count=1)
    for color, variable in VARIABLES.items():
        svg = svg.replace(color, f"var({variable})")
    return svg


def _axes(height: float = 1.08 * SIDE) -> tuple[Canvas, Axes]:
    canvas = Canvas(figsize=(SIDE, height), layout="constrained")
    axes = canvas.subplots()
    axes.grid(True)
    axes.set_axisbelow(True)
    return canvas, axes


def _legend(canvas: Canvas) -> None:
    """Above the axes, where it hides no curve."""
    canvas.legend(loc="outside upper left", ncols=2, borderaxespad=0.1, columnspacing=1.2)


def _unit_square(axes: Axes, x: str, y: str) -> None:
    axes.set(xlim=(-0.02, 1.02), ylim=(-0.02, 1.02), xlabel=x, ylabel=y, aspect="equal")


def roc(curves: Sequence[tuple[str, Curve]], point: tuple[float, float] | None, says: str) -> Plot:
    """`point` is sensitivity and specificity at the operating point."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes()
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":")
        for number, (name, curve) in enumerate(curves):
            # matplotlib leaves names that begin with _ out of legends.
            label = f" {drawable(name)}" if name.startswith("_") else drawable(name)
            axes.plot(1 - curve.specificity, curve.sensitivity, label=label, **_line(number))
        if point is not None:
            axes.plot(1 - point[1], point[0], "o", markersize=8, color=SERIES[1], label="operating point", zorder=5)
        _unit_square(axes, "1 - specificity", "sensitivity")
        _legend(canvas)
    return Plot("roc", "ROC curve. Chance is the dotted diagonal.", says, canvas)


def readers_on_roc(curve: Curve, readers: Sequence[tuple[str, Figure, Figure]], says: str) -> Plot:
    """The model's curve, and each reader's sensitivity and specificity with both intervals."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes()
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":")
        axes.plot(1 - curve.specificity, curve.sensitivity, label="model", **_line(0))
        for number, (name, found, kept) in enumerate(readers, start=1):
            color, marker = SERIES[number % len(SERIES)], MARKERS[number % len(MARKERS)]
            x, y = 1 - (kept.value or 0.0), found.value or 0.0
            axes.hlines(y, 1 - (kept.high or 1.0), 1 - (kept.low or 0.0), color=color, linewidth=1)
            axes.vlines(x, found.low or 0.0, found.high or 1.0, color=color, linewidth=1)
            axes.plot(x, y, marker, markersize=8, color=color, label=drawable(name), zorder=5)
        _unit_square(axes, "1 - specificity", "sensitivity")
        _legend(canvas)
    return Plot("readers", "Readers beside the model's ROC curve, with 95% intervals.", says, canvas)


def precision_recall(curve: Curve, prevalence: float, point: tuple[float, float] | None, says: str) -> Plot:
    """`point` is sensitivity and PPV at the operating point."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes()
        axes.axhline(prevalence, color=QUIET, linewidth=1, linestyle=":")
        there = ~np.isnan(ppv(curve.counts))
        axes.plot(curve.sensitivity[there], curve.precision[there], drawstyle="steps-pre", label="model", **_line(0))
        if point is not None:
            axes.plot(*point, "o", markersize=8, color=SERIES[1], label="operating point", zorder=5)
        _unit_square(axes, "sensitivity (recall)", "PPV (precision)")
        _legend(canvas)
    return Plot(
        "precision-recall", "Precision and recall. Chance is the dotted line, the share of pneumonia.", says, canvas
    )


def reliability(bins: Sequence[Bin], of: str, says: str, name: str = "reliability") -> Plot:
    """`of` says whose probabilities these are."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes(SIDE)
        axes.plot([0, 1], [0, 1], color=QUIET, linewidth=1, linestyle=":")
        predicted = [each.predicted for each in bins]
        axes.vlines(predicted, [each.low for each in bins], [each.high for each in bins], color=SERIES[0], linewidth=2)
        # Dots stand alone: a line between them would look like knowledge of what lies between the groups.
        axes.plot(predicted, [each.observed for each in bins], "o", color=SERIES[0], markersize=7)
        _unit_square(axes, "predicted probability of pneumonia", "share of films with pneumonia")
    fewest, most = min(each.films for each in bins), max(each.films for each in bins)
    films = f"{most:,}" if fewest == most else f"{fewest:,} to {most:,}"
    caption = (
        f"Reliability, {of}. Each dot is {films} films of similar probability, with the 95% interval of their share "
        "with pneumonia. On the dotted line, 70% means 70%."
    )
    return Plot(name, caption, says, canvas)


def net_benefit(curve: DecisionCurve, thresholds: Sequence[float], says: str) -> Plot:
    """The decision curve, with the operating points of groups of patients, or that of all."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes(0.8 * SIDE)
        axes.plot(curve.thresholds, curve.model, label="act on the model", **_line(0))
        axes.plot(curve.thresholds, curve.treat_all, label="act on every film", **_line(1))
        axes.axhline(0, color=QUIET, linewidth=1, label="act on none")
        for number, threshold in enumerate(each for each in thresholds if each < 1):
            label = None if number else "operating point"
            axes.axvline(threshold, color=QUIET, linewidth=1, linestyle=":", label=label)
        highest = max(float(curve.model.max()), float(curve.treat_all.max()), 0.05)
        axes.set(xlim=(0, 1), ylim=(-0.25 * highest, 1.1 * highest))
        axes.set(xlabel="threshold probability", ylabel="net benefit per film")
        _legend(canvas)
    return Plot(
        "decision-curve",
        "Decision curve: what acting on the model is worth, by how sure one wants to be.",
        says,
        canvas,
    )


def risk(curve: RiskCoverage, passed: tuple[float, float] | None, says: str) -> Plot:
    """`passed` is coverage and errors of what the gate lets through."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes(0.8 * SIDE)
        axes.plot(curve.coverage, curve.risk, drawstyle="steps-post", label="the surest films", **_line(0))
        if passed is not None:
            axes.plot(*passed, "o", markersize=8, color=SERIES[1], label="passed by the gate", zorder=5)
        axes.set(xlim=(0, 1.02), ylim=(0, max(float(curve.risk.max()) * 1.15, 0.02)))
        axes.set(xlabel="share of films decided", ylabel="share of errors among them")
        _legend(canvas)
    return Plot(
        "risk-coverage", "Errors among the films that remain when the least sure are left to a person.", says, canvas
    )


def histogram(probability: Floats, truth: Bools, thresholds: Sequence[float], says: str) -> Plot:
    """One panel a class, on one scale of probabilities: outlines over each other cannot be told apart."""
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(SIDE, SIDE), layout="constrained")
        panels = canvas.subplots(2, 1, sharex=True)
        edges = np.linspace(0, 1, 26).tolist()
        parts = (("without pneumonia", probability[~truth]), ("with pneumonia", probability[truth]))
        for number, (axes, (name, part)) in enumerate(zip(panels, parts, strict=True)):
            axes.grid(True, axis="y")
            axes.set_axisbelow(True)
            axes.hist(part, edges, color=SERIES[number], rwidth=0.9)
            for threshold in thresholds:
                if threshold < 1:
                    axes.axvline(threshold, color=INK, linewidth=1.5, linestyle=":")
            axes.set_title(f"{len(part):,} films {name}", loc="left")
            axes.set(xlim=(0, 1), ylabel="films")
            axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
        panels[1].set_xlabel("predicted probability of pneumonia")
    caption = "The probabilities that the model gave, by what the films truly show."
    if len(thresholds) > 1:
        caption += " The dotted lines are the operating points, for children and for adults."
    elif thresholds[0] < 1:
        caption += " The dotted line is the operating point: films to the right of it are called pneumonia."
    return Plot("probabilities", caption, says, canvas)


def froc(curve: FrocCurve, threshold: float, rates: Sequence[float], says: str) -> Plot:
    """Drawn as far as the last of the `rates` that sensitivity is stated at, or as the threshold lies."""
    point = _at_threshold(curve, threshold)
    end = max(*rates, 0 if point is None else 1.2 * curve.false_positives[point])
    with mpl.rc_context(STYLE):
        canvas, axes = _axes()
        false, found = [0, *curve.false_positives, 2 * end], [0, *curve.sensitivity, curve.sensitivity[-1]]
        axes.plot(false, found, drawstyle="steps-post", label="true boxes found", **_line(0))
        if point is not None:
            place = (curve.false_positives[point], curve.sensitivity[point])
            label = f"box threshold {threshold:.4g}"
            axes.plot(*place, "o", markersize=8, color=SERIES[1], label=label, zorder=5, clip_on=False)
        axes.set_xticks(list(rates), [str(Fraction(rate)) for rate in rates])
        axes.set(xlim=(0, 1.02 * end), ylim=(0, 1.02), xlabel="false boxes a film", ylabel="share of true boxes found")
        _legend(canvas)
    return Plot("froc", "FROC: what is found, at how many false boxes a film.", says, canvas)


def box_precision_recall(curves: Sequence[tuple[float, float, FrocCurve]], threshold: float, says: str) -> Plot:
    """For each overlap its average precision and its curve, with a dot where the threshold lies."""
    with mpl.rc_context(STYLE):
        canvas, axes = _axes()
        for number, (overlap, precision, curve) in enumerate(curves):
            label = f"overlap {overlap:g}: AP {precision:.3f}"
            axes.plot(curve.sensitivity, curve.precision, drawstyle="steps-pre", label=label, **_line(number))
            if (point := _at_threshold(curve, threshold)) is not None:
                place = (curve.sensitivity[point], curve.precision[point])
                axes.plot(*place, "o", markersize=7, color=SERIES[number % len(SERIES)], zorder=5)
        axes.plot([], [], "o", markersize=7, color=QUIET, label=f"box threshold {threshold:.4g}")
        _unit_square(axes, "share of true boxes found (recall)", "share of boxes that are true (precision)")
        _legend(canvas)
    caption = "Precision and recall of boxes: the more overlap is asked for, the fewer of them count as true."
    return Plot("box-precision-recall", caption, says, canvas)


def _at_threshold(curve: FrocCurve, threshold: float) -> int | None:
    """The point of all boxes from the threshold on; None where there are none."""
    above = int((curve.thresholds >= threshold).sum())
    return above - 1 if above else None


def _line(number: int) -> dict[str, Any]:
    return {"color": SERIES[number % len(SERIES)], "linestyle": DASHES[number % len(DASHES)], "linewidth": 2}
