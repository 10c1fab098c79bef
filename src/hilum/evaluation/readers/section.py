"""Readers beside the model, as a section of a report."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.dataset.audit.finding import counted
from hilum.evaluation.readers.film_readings import ALONE
from hilum.evaluation.readers.study import SIDES, Agreement, Beside, ReaderStudy
from hilum.evaluation.report.document import Block, Plots, Section, Table, Text
from hilum.evaluation.report.plots import readers_on_roc
from hilum.evaluation.report.words import NAMES, NOTHING, between, number, p_value, with_interval
from hilum.measures.figure import Figure
from hilum.measures.films.binary import Curve
from hilum.measures.readers.box_agreement import SAME

BESIDE = [
    *("Reader", "Films", "Sensitivity", "Specificity"),
    *("Sensitivity: model less reader", "Specificity: model less reader", "Seconds a film (median)"),
]
AGREEMENT = ["Readers", "Films", "Kappa", "Boxes drawn by both", "Their overlap"]
WEIGHTED = ["Weighted kappa, linear", "Weighted kappa, quadratic"]


def readers_section(study: ReaderStudy, roc: Curve) -> Section:
    """Points on the model's ROC curve, then every figure."""
    blocks: list[Block] = []
    points = [
        (_who(each), each.figures["sensitivity"], each.figures["specificity"])
        for each in study.beside
        if all(figure.value is not None for figure in each.figures.values())
    ]
    if points:
        says = "; ".join(
            f"{who}: sensitivity {with_interval('recall', found)}, specificity {with_interval('recall', kept)}"
            for who, found, kept in points
        )
        blocks.append(Plots([readers_on_roc(roc, points, f"Readers on the model's ROC curve. {says}.")]))
    if study.beside:
        blocks.append(
            Table(
                "Each reader beside the model, on the films that he or she read", BESIDE, list(map(_row, study.beside))
            )
        )
    blocks += _together(study)
    blocks += _times(study)
    if study.agreements:
        ordered = WEIGHTED if study.ordered else []
        rows = [_agreement(each, weighted=bool(ordered)) for each in study.agreements]
        blocks.append(
            Table(
                "Agreement of readers who did not see the answer, and of each with an earlier reading",
                [*AGREEMENT[:3], *ordered, *AGREEMENT[3:]],
                rows,
            )
        )
    blocks += [Text(f"{note[0].upper()}{note[1:]}.") for note in study.readers.notes]
    order = f" Weighted kappa takes the labels in the order {' < '.join(study.ordered)}." if study.ordered else ""
    blocks.append(
        Text(
            "Readers go by letters, in the order of their names. Sensitivity and specificity of readers have Wilson's "
            "interval; all other intervals are by a bootstrap over patients, differences paired by film; p is "
            "McNemar's. Kappa is "
            f"Cohen's between two, Fleiss' of all.{order} Two boxes are the same from an intersection over union of "
            f"{SAME:g}; the share is twice the pairs over all boxes of both, the overlap that of the pairs.",
            "hint",
        )
    )
    return Section("readers", "Readers and model", blocks)


def _together(study: ReaderStudy) -> Iterator[Block]:
    if not study.together:
        return
    rows = []
    for name in SIDES:
        if (each := study.together.get(name)) is None:
            continue
        over = each.over_readers
        rows.append(
            [
                NAMES[name],
                f"{each.films:,}",
                _difference(each.over_films),
                NOTHING if over is None else f"{_signed(over.difference)} ({between('', (over.low, over.high))})",
                NOTHING if over is None else p_value(over.p_value),
            ]
        )
    readers = counted(len({each.reader for each in study.beside if each.saw == ALONE}), "reader")
    yield Table(
        f"The model less the mean of {readers} without its answer, on the films that all of them read",
        ["Figure", "Films", "For these readers", "For readers like these", "p"],
        rows,
    )
    yield Text(
        "“For these readers” is uncertain by films alone (bootstrap over patients); “for readers like these” by films "
        "and readers together (Obuchowski and Rockette 1995, degrees of freedom by Hillis 2007), which is wide where "
        "readers are few.",
        "hint",
    )


def _times(study: ReaderStudy) -> Iterator[Block]:
    if not study.times:
        return
    rows = [
        [
            f"Reader {each.reader}",
            each.on,
            f"{each.with_answer:,}",
            f"{each.without:,}",
            _seconds(each.difference, "+" if (each.difference.value or 0) > 0 else ""),
        ]
        for each in study.times
    ]
    yield Table(
        "Seconds a film with the answer in sight, less those without it",
        ["Reader", "On", "Films with it", "Films without", "Seconds"],
        rows,
    )
    yield Text(
        "On the same films, read both ways, this is the median of the films' own differences; a film that is read "
        "again may go faster for that alone. On other films, read one way each, it is the difference of the two "
        "medians, and films chosen to be read with the answer may have been easier or harder.",
        "hint",
    )


def _row(each: Beside) -> list[str]:
    cells = [with_interval(name, each.figures[name]) for name in SIDES]
    for name in SIDES:
        tested = f", p {_equals(each.tests[name].p_value)}" if each.differences[name].value is not None else ""
        cells.append(_difference(each.differences[name]) + tested)
    return [_who(each), f"{each.films:,}", *cells, _seconds(each.seconds)]


def _agreement(each: Agreement, *, weighted: bool) -> list[str]:
    who = f"{each.first} and {each.second}"
    if not each.second:
        who = "all of them"
    elif each.first == each.second:
        who = f"{each.first} again"
    boxes = each.boxes
    kappas = (each.kappa, each.linear, each.quadratic) if weighted else (each.kappa,)
    return [
        who,
        f"{each.films:,}",
        *(NOTHING if figure is None else with_interval("", figure) for figure in kappas),
        NOTHING if boxes is None else with_interval("recall", boxes.same),
        NOTHING if boxes is None else with_interval("", boxes.overlap),
    ]


def _who(each: Beside) -> str:
    return f"Reader {each.reader}" + ("" if each.saw == ALONE else ", with the answer")


def _difference(figure: Figure) -> str:
    if figure.value is None:
        return figure.why
    ends = "" if figure.low is None or figure.high is None else f" ({between('', (figure.low, figure.high))})"
    return _signed(figure.value) + ends


def _equals(p: float) -> str:
    words = p_value(p)
    return words if words.startswith("<") else f"= {words}"


def _signed(value: float) -> str:
    return ("+" if value > 0 else "") + number(value)


def _seconds(figure: Figure, sign: str = "") -> str:
    if figure.value is None:
        return NOTHING
    ends = "" if figure.low is None or figure.high is None else f" ({_tenths(figure.low)} to {_tenths(figure.high)})"
    return f"{sign}{_tenths(figure.value)}{ends}"


def _tenths(seconds: float) -> str:
    return f"{round(seconds, 1) + 0:.1f}".replace("-", "\N{MINUS SIGN}")
