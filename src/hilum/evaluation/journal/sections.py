"""The sections of a report that journals ask for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from hilum.dataset.audit.finding import counted
from hilum.evaluation.journal.checklist import Fact, counts, filled
from hilum.evaluation.journal.claim import CLAIM
from hilum.evaluation.journal.failures import FEWEST, SUREST, Failures, Stratum
from hilum.evaluation.journal.flow import flow
from hilum.evaluation.journal.flow_plot import flow_plot
from hilum.evaluation.journal.participants import participants
from hilum.evaluation.journal.precision import ALIKE, Reach
from hilum.evaluation.journal.tripod import TRIPOD
from hilum.evaluation.judge import Judgement
from hilum.evaluation.measure import Evaluation
from hilum.evaluation.report.document import Beside, Block, Document, Folded, Gallery, Plots, Section, Table, Text
from hilum.evaluation.report.gallery import LINES
from hilum.evaluation.report.words import NAMES, NOTHING, between, number, p_value, percent

KEYS = ("flow", "precision", "failures", "robustness", "checklists")
LISTED = 12  # parts of films, before the rest is folded
HEADER = [
    "Part of the films",
    "Films",
    "Wrong",
    "Missed",
    "Called wrongly",
    "Errors",
    "More than the others",
    "Corrected p",
]


def flow_section(judged: Judgement) -> Section:
    """Where every film went, and who is in which split."""
    drawn = Plots([flow_plot(flow(judged), judged.manifest_name, judged.split)])
    return Section(
        "flow",
        "Flow of films and patients: who was judged",
        [Beside([[drawn], [participants(judged.manifest, judged.card)]], shares=(2, 3))],
    )


def precision_section(evaluation: Evaluation) -> Section:
    """What these films can show, and what twice as many could."""
    rows = [_reached(each) for each in evaluation.reach]
    header = [
        *("Figure", "Films", "Worth as independent ones", "Width of its 95% interval", "At twice the films"),
        *("Smallest difference shown", f"if models are alike by {ALIKE:g}"),
    ]
    return Section(
        "precision",
        "How sure: sample size and precision",
        [
            Table("What this test can show", header, rows),
            Text(
                "Films of one patient are worth fewer independent ones; widths are for what they are worth. The "
                "smallest difference is how much worse another model must be for a paired test on these films to "
                "show it (two-sided 5%, power 80%; AUROC by its standard error, shares by McNemar's test after Connor "
                "1987). How much two models are right together is not known beforehand: not at all is the worst case.",
                "hint",
            ),
        ],
    )


def _reached(each: Reach) -> list[str]:
    share = each.name != "auroc"

    def width(value: float | None) -> str:
        return NOTHING if value is None else f"{100 * value:.1f} points" if share else number(value)

    films = NOTHING if each.worth is None else f"{each.worth:,.0f}"
    smallest = [width(value) if value is not None else "none" for value in (each.smallest, each.smallest_if_alike)]
    return [NAMES[each.name], f"{each.films:,}", films, width(each.width), width(each.at_twice), *smallest]


def failures_section(found: Failures, galleries: Sequence[Gallery], about: str) -> Section:
    """Parts of the films by their excess of errors, and the errors that the model was surest of."""
    rows = [_part(part) for part in found.parts]
    blocks: list[Block] = [Text(_verdict(found))]
    if rows:
        blocks.append(Table("Parts of the films, the most excess of errors first", HEADER, rows[:LISTED]))
        if len(rows) > LISTED:
            blocks.append(Folded(f"The other {len(rows) - LISTED}", [Table("Fewer errors", HEADER, rows[LISTED:])]))
    blocks.append(
        Text(
            "Errors are decisions by threshold alone, over all films that could be read. More than the others: the "
            "share of errors less that among all other films of which the same is known, with Newcombe's 95% interval; "
            "films of one patient count for what they are worth. P-values are the larger of Fisher's exact test and a "
            f"score test by patients, corrected by Holm for all {len(rows)} parts looked at"
            + (f"; {counted(found.small, 'part')} of fewer than {FEWEST} films not looked at" if found.small else "")
            + ". Parts overlap, and a part may differ by its share of pneumonia.",
            "hint",
        )
    )
    if galleries:
        boxed = any(film.shows == "boxes" for gallery in galleries for film in gallery.films)
        about += " True boxes are solid blue lines." if boxed and about != LINES else ""
        blocks += [Text(f"The {SUREST} errors that the model was surest of, by what they share. {about}"), *galleries]
    return Section("failures", "Failure analysis", blocks)


def _verdict(found: Failures) -> str:
    surely = [part for part in found.parts if part.corrected < 0.05 and part.excess.more > 0]
    if not found.errors:
        return "Not one film was judged wrongly."
    if not surely:
        return (
            f"{counted(found.errors, 'film')} {'was' if found.errors == 1 else 'were'} judged wrongly. No part of the "
            "films has more errors than chance would give."
        )
    listed = "; ".join(f"{part.words} ({percent(part.excess.share)} of {part.films:,})" for part in surely)
    return f"{counted(found.errors, 'film')} were judged wrongly. More often than chance would have it: {listed}."


def _part(part: Stratum) -> list[str]:
    made = part.excess
    return [
        part.words,
        f"{part.films:,}",
        f"{part.errors:,}",
        f"{part.missed:,} of {part.sick:,}",
        f"{part.false_alarms:,} of {part.healthy:,}",
        f"{percent(made.share)} ({between('accuracy', (made.low, made.high))})",
        f"{_points(made.more)} ({_points(made.more_low)} to {_points(made.more_high)})",
        p_value(part.corrected),
    ]


def _points(share: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    points = round(100 * share, 1) + 0
    return f"{points:+.1f}".replace("-", "\N{MINUS SIGN}") if points else "0.0"


def checklists_section(facts: dict[str, Fact]) -> Section:
    """CLAIM and TRIPOD+AI, filled as far as hilum knows."""
    blocks: list[Block] = [
        Text(
            "What hilum knows for each item, and what is left to the authors. Items stand in few words: the official "
            "wording is where each list says."
        )
    ]
    for checklist in (CLAIM, TRIPOD):
        table = filled(checklist, facts)
        whole, part, none = counts(table)
        summary = f"{checklist.name}: of {len(table.rows)} items {whole} filled, {part} in part, {none} yours to write"
        blocks.append(Folded(summary, [table]))
    return Section("checklists", "What journals ask for: CLAIM and TRIPOD+AI", blocks)


def journal(document: Document) -> Document:
    """The sections that papers take over, without films and without what the page says elsewhere."""
    kept = [section for section in document.sections if section.key in KEYS]
    return replace(
        document,
        tiles=[],
        cautions=[],
        sections=[
            replace(section, blocks=[block for block in section.blocks if not isinstance(block, Gallery)])
            for section in kept
        ],
    )
