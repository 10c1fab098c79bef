"""What changed films say of a bundle, as a section of a report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from hilum.dataset.audit.finding import counted
from hilum.evaluation.report.document import Block, Folded, Plots, Section, Table, Text
from hilum.evaluation.report.words import NOTHING, between, number, percent
from hilum.evaluation.robustness.changes import CHANGES, Change
from hilum.evaluation.robustness.plot import panels
from hilum.evaluation.robustness.robustness import Ends, Robustness, Row

LITTLE = 0.02  # of AUROC: what a reader would not mind losing
HEADER = [
    "Change",
    "Strength",
    "AUROC",
    "AUROC lost",
    "Sensitivity",
    "Specificity",
    "Turned away",
    "Probability moves by",
]


def answer(made: Robustness) -> str:
    """Which changes hardly matter and which do, in two sentences."""
    costly = [change.name for change in CHANGES if _costs(made, change)]
    harmless = [change.name for change in CHANGES if change.name not in costly]
    as_is = made.as_is
    sentences = (
        f"On {as_is.films:,} films as they are: AUROC {number(as_is.auroc)}, sensitivity {percent(as_is.sensitivity)}, "
        f"specificity {percent(as_is.specificity)}."
    )
    if costly:
        sentences += f" It loses more than {LITTLE:g} of AUROC, and more than by chance, by: {', '.join(costly)}."
    if harmless:
        sentences += f" No such loss is shown, at any strength tried, by: {', '.join(harmless)}."
    widths = [(high - low) / 2 for low, high in (row.auroc_gain for row in made.rows if row.auroc_gain is not None)]
    if widths:
        sentences += f" With this many films a loss of less than about {number(median(widths))} would not show."
    return sentences


def worst_rows(made: Robustness) -> Iterator[list[str]]:
    """Each change at the strength that costs the most AUROC, under HEADER."""
    return (_cells(_worst(made.of(each))) for each in CHANGES)


def robustness_section(made: Robustness) -> Section:
    """The worst of each change, a picture of each, and every row."""
    unread = f" {counted(made.unreadable, 'film')} more could not be read." if made.unreadable else ""
    blocks: list[Block] = [
        Text(answer(made)),
        Table("At the strength that costs the most AUROC", HEADER, list(worst_rows(made))),
        Text(
            f"Every change is made to the same {counted(made.as_is.films, 'film')} of "
            f"{counted(made.patients, 'patient')}, drawn by chance (seed {made.seed}), and judged at the operating "
            f"point “{made.operating_point}”, which is never chosen anew.{unread} Figures are over all films, whatever "
            "the gate says of them; a good gate turns films away before sensitivity or specificity falls. AUROC "
            "lost is a 95% interval, by the bootstrap over patients, paired with the films as they are; intervals are "
            "not corrected for looking at many changes, and the worst of several strengths flatters none.",
            "hint",
        ),
        Plots(panels(made)),
        Folded("Every change at every strength", [Table("All rows", HEADER, list(map(_cells, made.rows)))]),
    ]
    return Section("robustness", "Robustness: what should not matter, and does it?", blocks)


def _worst(rows: Sequence[Row]) -> Row:
    return min(rows, key=lambda row: row.auroc)


def _costs(made: Robustness, change: Change) -> bool:
    """Whether some strength loses AUROC that is worth a word, by more than chance."""
    return any(
        made.as_is.auroc - row.auroc > LITTLE and row.auroc_gain is not None and row.auroc_gain[1] < 0
        for row in made.of(change)
    )


def _cells(row: Row) -> list[str]:
    return [
        row.change,
        f"{row.strength:g}" if isinstance(row.strength, float | int) else row.strength,
        number(row.auroc),
        _loss(row.auroc_gain),
        percent(row.sensitivity),
        percent(row.specificity),
        percent(row.turned_away),
        number(row.mean_change),
    ]


def _loss(gain: Ends | None) -> str:
    """The interval of what is lost: that of the gain with its sign turned."""
    return NOTHING if gain is None else between("auroc", (-gain[1], -gain[0]))
