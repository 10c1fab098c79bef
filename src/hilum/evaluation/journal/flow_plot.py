"""The flow of films and patients as STARD draws it: boxes from the films found to what was said of each."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure as Canvas
from matplotlib.patches import Rectangle

from hilum.dataset.audit.finding import counted
from hilum.evaluation.journal.flow import Count, Flow, Outcome
from hilum.evaluation.report.plots import INK, QUIET, SIDE, STYLE, Plot

# In inches of a figure as wide as all others.
LINE, PAD, GAP, LETTERS = 0.165, 0.09, 0.2, 8.5
MAIN, BESIDE = (0.02, 2.3), (2.72, SIDE - 0.02)  # left and right ends of both columns
MAIN_WIDE, BESIDE_WIDE, HALF_WIDE = 37, 29, 34  # letters of a line
MOST = 4  # reasons or splits that are named


def flow_plot(flow: Flow, manifest: str, split: str) -> Plot:
    """From the films of the manifest down to decisions; to the right what leaves on the way."""
    steps = [
        (["Found", _words(flow.found), f"in {manifest}"], _elsewhere(flow)),
        ([f"Split {split}" if split != "all" else "All of them taken", _words(flow.chosen)], _left_out(flow)),
        (["Truth known", _words(flow.labeled)], _unread(flow)),
        (["Readable, given a probability", _words(flow.readable)], _turned_away(flow)),
        (["Passed by the gate", counted(flow.passed, "film")], []),
    ]
    ends = [_ended("Called pneumonia", flow.called), _ended("Called no pneumonia", flow.cleared)]
    rows = [([*_wrapped(main, MAIN_WIDE)], [*_wrapped(side, BESIDE_WIDE)]) for main, side in steps]
    heights = [max(_height(main), _height(side) if side else 0) for main, side in rows]
    total = sum(heights) + GAP * len(rows) + max(map(_height, ends))
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(SIDE, total + 0.04))
        axes = canvas.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, SIDE), ylim=(-0.02, total + 0.02))
        axes.set_axis_off()
        top, middle = total, sum(MAIN) / 2
        for number, ((main, side), height) in enumerate(zip(rows, heights, strict=True)):
            _box(axes, MAIN, top, height, main)
            if side:
                _box(axes, BESIDE, top, height, side, QUIET)
                _arrow(axes, (MAIN[1], top - height / 2), (BESIDE[0], top - height / 2))
            top -= height
            if number < len(rows) - 1:
                _arrow(axes, (middle, top), (middle, top - GAP))
                top -= GAP
        halves = ((MAIN[0], SIDE / 2 - 0.08), (SIDE / 2 + 0.08, BESIDE[1]))
        for half, lines in zip(halves, ends, strict=True):
            place = min(max(sum(half) / 2, MAIN[0]), MAIN[1] - 0.1)
            _arrow(axes, (place, top), (max(place, half[0] + 0.2), top - GAP))
            _box(axes, half, top - GAP, max(map(_height, ends)), lines)
    caption = "Flow of films and patients, as STARD asks for it. To the right is what left on the way."
    return Plot("flow", caption, flow_in_words(flow, manifest, split), canvas)


def flow_in_words(flow: Flow, manifest: str, split: str) -> str:
    """The same as a sentence."""
    taken = "all of them taken" if split == "all" else f"of these {_words(flow.chosen)} in split {split}"
    return (
        f"{_words(flow.found)} in {manifest}, {taken}; {flow.without_label.films:,} without a usable label, "
        f"{sum(flow.unreadable.values()):,} that could not be read; {_words(flow.readable)} given a probability; "
        f"{sum(flow.turned_away.values()):,} turned away by the gate; of the rest "
        f"{_films(flow.called):,} called pneumonia ({flow.called.sick.films:,} with it) and "
        f"{_films(flow.cleared):,} not ({flow.cleared.sick.films:,} with it)."
    )


def _elsewhere(flow: Flow) -> list[str]:
    parts = [f"{name}: {_words(count)}" for name, count in flow.elsewhere.items()]
    more = [f"and {len(parts) - MOST:,} other splits"] if len(parts) > MOST else []
    return ["Not of this split", *parts[:MOST], *more] if parts else []


def _left_out(flow: Flow) -> list[str]:
    return ["No usable label", _words(flow.without_label)] if flow.without_label.films else []


def _unread(flow: Flow) -> list[str]:
    return ["Could not be read", *_reasons(flow.unreadable)] if flow.unreadable else []


def _turned_away(flow: Flow) -> list[str]:
    if not flow.turned_away:
        return []
    return ["Turned away by the gate", *_reasons(flow.turned_away), *_truths(flow.abstained)]


def _reasons(reasons: dict[str, int]) -> list[str]:
    listed = list(reasons.items())
    rest = sum(count for _, count in listed[MOST:])
    return [f"{reason}: {count:,}" for reason, count in listed[:MOST]] + ([f"others: {rest:,}"] if rest else [])


def _ended(title: str, outcome: Outcome) -> list[str]:
    return [title, counted(_films(outcome), "film"), *_truths(outcome)]


def _truths(outcome: Outcome) -> list[str]:
    return [f"{outcome.sick.films:,} with pneumonia", f"{outcome.healthy.films:,} without"]


def _films(outcome: Outcome) -> int:
    return outcome.sick.films + outcome.healthy.films


def _words(count: Count) -> str:
    return f"{counted(count.films, 'film')} of {counted(count.patients, 'patient')}"


def _wrapped(lines: Sequence[str], wide: int) -> list[str]:
    return [part for line in lines for part in textwrap.wrap(line, wide)]


def _height(lines: Sequence[str]) -> float:
    return len(lines) * LINE + 2 * PAD


def _box(
    axes: Axes, ends: tuple[float, float], top: float, height: float, lines: Sequence[str], edge: str = INK
) -> None:
    axes.add_patch(Rectangle((ends[0], top - height), ends[1] - ends[0], height, fill=False, edgecolor=edge))
    for number, line in enumerate(lines):
        place = top - PAD - (number + 0.75) * LINE
        weight = "bold" if number == 0 else "normal"
        axes.text(ends[0] + PAD, place, line, fontsize=LETTERS, fontweight=weight)


def _arrow(axes: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    axes.annotate("", end, start, arrowprops={"arrowstyle": "-|>", "color": INK, "shrinkA": 0, "shrinkB": 0, "lw": 1})
