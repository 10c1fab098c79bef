"""Drift as a page for people: what differs, by how much, and the films that lie the farthest out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure as Canvas

from hilum.bundle.drift.baseline import WHOSE
from hilum.bundle.drift.comparison import FEWEST, GroupComparison, strangeness
from hilum.bundle.drift.monitor import Monitor
from hilum.evaluation.drift.drift import Drift, FarFilm
from hilum.evaluation.drift.words import AT_ODDS, HEADER, answer, known, of_watch, rows
from hilum.evaluation.report.document import Block, Document, Film, Gallery, Plots, Section, Table, Text, Tile
from hilum.evaluation.report.film_pictures import SIDE, short, thumbnail, to_jpeg
from hilum.evaluation.report.plots import GRID, QUIET, SERIES, STYLE, Plot
from hilum.radiograph import ReadError, read

ENDS, QUARTERS = (0.05, 0.95), (0.25, 0.75)
SHOWN_OUT = 6.0  # spreads; what lies beyond is drawn at the edge
WIDTH, ROW = 6.4, 0.25


def document_of(made: Drift, monitor: Monitor | None) -> Document:
    """The page, before it is written."""
    judged, compared = made.judged, made.comparison
    sections = [_section(made, group) for group in compared.groups]
    sections.append(Section("farthest", "Films that lie the farthest out", list(_films(made))))
    if monitor is not None:
        sections.append(Section("watch", "The watch", [Text(f"{of_watch(monitor, monitor.alarm)}.")]))
    sections.append(Section("how", "How it was tested", [Text(text) for text in _how(made)]))
    return Document(
        title=made.title,
        subtitle=f"drift of {len(judged.paths):,} films · {made.films_name} · {made.file}",
        stamp="",
        answer=answer(made),
        tiles=[_tile(group) for group in compared.groups],
        cautions=list(_cautions(made)),
        sections=sections,
    )


def _tile(group: GroupComparison) -> Tile:
    first = group.shifts[0]
    whose = "Films" if group.patient is None else WHOSE[group.patient].capitalize()
    verdict = "another kind" if group.alarms else "no sign of drift"
    differing = sum(shift.alarms for shift in group.shifts)
    detail = f"{differing} of {len(group.shifts)} traits differ, most surely {first.trait}" if differing else "no trait"
    return Tile(f"{whose}, {group.films:,}", verdict, f"against {known(group.kind)}", detail)


def _cautions(made: Drift) -> Sequence[str]:
    cautions = []
    if not made.judged.of_patients:
        cautions.append(
            "Films of one patient are alike. Nothing here tells whose films these are, so each counts as of a patient "
            "of its own; where patients have several, alarms come too easily. A manifest tells."
        )
    if made.judged.failures:
        cautions.append(f"{len(made.judged.failures):,} more films could not be read.")
    if made.comparison.skipped:
        cautions.append(
            f"{made.comparison.skipped:,} films were not compared, for there are fewer than {FEWEST} of their group of "
            "patients."
        )
    return cautions


def _section(made: Drift, group: GroupComparison) -> Section:
    whose = "films" if group.patient is None else WHOSE[group.patient]
    blocks: list[Block] = [
        Plots([plot_of(made, group)]),
        Table(f"All traits of {whose}, the surest first", HEADER, list(rows(group.shifts))),
        Text(
            "Usual is the median of the films that the model knows, here that of these films; of how films are stored, "
            "here is the value whose share differs the most. Apart is the largest share of films by which both sets "
            "differ at any place. The axes are the directions in which features of training films differ the most; "
            "what lies beside them they never showed. p is corrected for the number of traits.",
            "hint",
        ),
    ]
    return Section(f"traits-{group.patient or 'all'}", f"What differs: {whose}", blocks)


def plot_of(made: Drift, group: GroupComparison) -> Plot:
    """Where the middle of films lies, in spreads around the median of the baseline."""
    names = [name for name in made.baseline.names if name in group.kind.numbers]
    columns = [made.baseline.names.index(name) for name in names]
    out = strangeness(made.judged.traits.of(group.patient), group.kind, made.baseline.names)[:, columns]
    low, quarter, middle, three, high = np.clip(
        np.quantile(out, (ENDS[0], QUARTERS[0], 0.5, QUARTERS[1], ENDS[1]), axis=0), -SHOWN_OUT, SHOWN_OUT
    )
    with mpl.rc_context(STYLE):
        canvas = Canvas(figsize=(WIDTH, ROW * len(names) + 0.9), layout="constrained")
        axes = canvas.subplots()
        places = np.arange(len(names))[::-1]
        axes.axvspan(-1.645, 1.645, color=GRID, alpha=0.5, linewidth=0)
        axes.axvspan(-0.674, 0.674, color=GRID, linewidth=0)
        axes.axvline(0, color=QUIET, linewidth=1)
        differs = {shift.trait for shift in group.shifts if shift.alarms}
        for number, name in enumerate(names):
            color = SERIES[1] if name in differs else SERIES[0]
            place = places[number]
            axes.hlines(place, low[number], high[number], color=color, linewidth=1.4)
            axes.hlines(place, quarter[number], three[number], color=color, linewidth=4)
            axes.plot(middle[number], place, "D" if name in differs else "o", color=color, markersize=5.5)
        axes.set_yticks(places, names)
        axes.set(xlim=(-SHOWN_OUT - 0.2, SHOWN_OUT + 0.2), xlabel="spreads from the usual median")
        axes.spines["left"].set_visible(False)
        axes.tick_params(axis="y", length=0)
    listed = ", ".join(sorted(differs)) or "none"
    caption = (
        "Nine in ten of these films (thin line), half of them (thick line) and their median; grey bands are where nine "
        "in ten and half of the films lie that the model knows. Diamonds differ by more than chance."
    )
    return Plot(
        f"drift-{group.patient or 'all'}", caption, f"Traits that differ by more than chance: {listed}.", canvas
    )


def _films(made: Drift) -> Sequence[Block]:
    shown = [film for far in made.farthest if (film := _film(made, far)) is not None]
    hint = (
        "How far a film lies out is the root mean square over its numbers, in spreads of the films that the model "
        "knows. Such films are in every set; look for what they share."
    )
    return [
        Gallery("The farthest first", shown, "The films are not where they were judged any more."),
        Text(hint, "hint"),
    ]


def _film(made: Drift, far: FarFilm) -> Film | None:
    path = made.judged.paths[far.row]
    try:
        levels = thumbnail(read(Path(path), at_least=SIDE).pixels)
    except (ReadError, OSError):  # judged some other day, and gone since
        return None
    words = " · ".join((f"{far.distance:.1f} spreads out", *far.why))
    return Film(short(path), words, to_jpeg(levels), None)


def _how(made: Drift) -> Sequence[str]:
    kinds = "; ".join(f"{kind.name} ({kind.films:,} films)" for kind in made.baseline.kinds)
    return [
        f"{AT_ODDS} That holds whatever the distributions and however few films the model knows, for what its card "
        "keeps of them are ranks: Anderson's and Darling's statistic between its quantiles, with p-values from Polya's "
        "urn; of how films are stored, Pearson's statistic with p-values by exchanging films; Holm's correction for "
        "many traits.",
        f"The model knows these kinds: {kinds}. Films are of a known kind where they are like one of them; what stands "
        "above is of the kind that they are least unlike.",
        "An alarm says that films differ, not that the model is worse on them. How good it is, only films of known "
        "truth say (hilum evaluate). No alarm says that nothing was found with so many films.",
    ]
