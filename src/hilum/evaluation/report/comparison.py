"""A Comparison as a Document, and as plain data."""

from __future__ import annotations

from typing import Any

from hilum import __version__
from hilum.dataset.audit.finding import counted
from hilum.evaluation.comparison.paired import Comparison, Difference
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Beside, Column, Document, Plots, Section, Table, Text, Tile
from hilum.evaluation.report.words import NAMES, NOTHING, interval, number, p_value, percent, value, with_interval
from hilum.measures.figure import Figure
from hilum.measures.films.binary import curve

SHOWN = ("auroc", "average_precision", "sensitivity", "specificity", "accuracy", "f1")
# What a difference means in words, where the second is lower and where it is higher.
ASPECTS = {
    "auroc": ("ranks films less well", "ranks films better"),
    "sensitivity": ("recognizes less of the pneumonia", "recognizes more of the pneumonia"),
    "specificity": ("clears fewer of the films without it", "clears more of the films without it"),
}
HEADER = ("Model", "Threshold", *(NAMES[name] for name in SHOWN), "ECE (adaptive)")


def rows_of(comparison: Comparison) -> list[list[str]]:
    """One row a model."""
    return [
        [
            model.name,
            "by group" if model.threshold is None else f"{model.threshold:.4f}",
            *(with_interval(name, figures[name]) for name in SHOWN),
            number(made.adaptive_ece),
        ]
        for model, figures, made in zip(comparison.models, comparison.figures, comparison.calibrations, strict=True)
    ]


def verdicts(comparison: Comparison) -> list[str]:
    """Whether each model differs from the first, in words that need no glossary.

    A difference counts as shown where its interval over patients leaves out zero. Where it does not, the films cannot
    tell, which is not the same as equal.
    """
    films = counted(len(comparison.models[0]), "film")
    return [
        _verdict(difference, _against(comparison.figures[0], figures), films)
        for difference, figures in zip(comparison.differences, comparison.figures[1:], strict=True)
    ]


def _against(first: dict[str, Figure], second: dict[str, Figure]) -> dict[str, str]:
    return {
        name: f"{'AUROC' if name == 'auroc' else name} {value(name, second[name])} against {value(name, first[name])}"
        for name in ASPECTS
        if first[name].value is not None and second[name].value is not None
    }


def _verdict(difference: Difference, against: dict[str, str], films: str) -> str:
    first, second = difference.first, difference.second
    shown = {name: _direction(difference.figures[name]) for name in ASPECTS}
    found = [
        f"{phrases[direction > 0]} ({against[name]})" for name, phrases in ASPECTS.items() if (direction := shown[name])
    ]
    if not found:
        figures = ", ".join(against.values())
        by_chance = f"On {films}, differences of this size arise by chance."
        return f"No difference shown between {second} and {first}: {figures}. {by_chance}"
    sentence = f"{second} {' and '.join(found)} than {first}."
    if shown["auroc"] or "auroc" not in against:
        return sentence
    sentence += f" In ranking films no difference is shown ({against['auroc']})"
    if shown["sensitivity"] * shown["specificity"] < 0:
        sentence += ": it trades missed pneumonia for needless calls, as another threshold would"
    return sentence + "."


def tests_in_words(difference: Difference) -> str:
    """The same for who asks how sure, with the tests by their names."""
    apart, tested = difference.figures["auroc"], difference.delong
    if apart.value is None:
        ranking = f"no AUROC, {apart.why}"
    else:
        sure = f" (95% interval {_ends(apart.low, apart.high)})" if apart.low is not None else ""
        ranking = f"AUROC {_signed(apart.value)}{sure}"
    ranking += f", DeLong's p {p_value(tested.p_value)}" if tested is not None else ""
    test = difference.mcnemar
    return (
        f"{difference.second} less {difference.first}: {ranking}. Right alone: {difference.second} on "
        f"{counted(test.only_second, 'film')}, {difference.first} on {test.only_first:,}; McNemar's p "
        f"{p_value(test.p_value)}."
    )


def make_comparison_report(comparison: Comparison) -> Document:
    """Models on the same films as a document: what differs and how surely, then the figures of each."""
    first = comparison.models[0]
    patients = len(set(first.patients.tolist()))
    return Document(
        title=f"{len(comparison.models)} models on the same films",
        subtitle=f"{counted(len(first), 'film')} of {counted(patients, 'patient')}, {int(first.truth.sum()):,} with "
        f"pneumonia ({percent(float(first.truth.mean()))})",
        stamp="",
        answer="\n".join(verdicts(comparison)),
        tiles=[
            Tile(model.name, value("auroc", figures["auroc"]), f"AUROC, {_sure(figures['auroc'])}", _rates(figures))
            for model, figures in zip(comparison.models, comparison.figures, strict=True)
        ],
        cautions=comparison.notes,
        sections=[_differences(comparison), _side_by_side(comparison)],
    )


def _differences(comparison: Comparison) -> Section:
    first = comparison.models[0].name
    columns: list[list[Column]] = [
        [_difference_table(comparison, place), Text(tests_in_words(difference), "hint")]
        for place, difference in enumerate(comparison.differences)
    ]
    explained = Text(
        "A difference is shown where its 95% interval leaves out zero; the interval is by the paired bootstrap over "
        f"patients ({comparison.resamples:,} resamples, seed {comparison.seed}). “None shown” does not mean equal: the "
        "interval says how far apart the two may be. Points are percentage points. DeLong's and McNemar's tests take "
        "films as independent. Nothing is adjusted for the number of comparisons. Right alone: films that one has "
        f"right and {first} has wrong, or the other way round. What a gate turns away is judged as well.",
        "hint",
    )
    columns.append([explained])
    pairs = [columns[place : place + 2] for place in range(0, len(columns), 2)]
    return Section("differences", "Do they differ?", [Beside(pair, shares=(1, 1)) for pair in pairs])


def _difference_table(comparison: Comparison, place: int) -> Table:
    difference = comparison.differences[place]
    figures = (comparison.figures[0], comparison.figures[place + 1])
    rows = []
    for name in ("auroc", "sensitivity", "specificity", "accuracy"):
        apart = difference.figures[name]
        word = {-1: "lower", 0: "none shown", 1: "higher"}[_direction(apart)]
        values = [value(name, each[name]) for each in figures]
        rows.append([NAMES[name], *values, _apart(apart, points=name != "auroc"), word])
    return Table(
        f"{difference.second} against {difference.first}",
        ["Figure", difference.first, difference.second, "Difference (95% interval)", "Reading"],
        rows,
    )


def _side_by_side(comparison: Comparison) -> Section:
    drawn: list[plots.Plot] = []
    if comparison.figures[0]["auroc"].value is not None:
        curves = [(model.name, curve(model.probability, model.truth)) for model in comparison.models]
        areas = "; ".join(
            f"{model.name} {with_interval('auroc', figures['auroc'])}"
            for model, figures in zip(comparison.models, comparison.figures, strict=True)
        )
        drawn.append(plots.roc(curves, None, f"ROC curves. AUROC: {areas}."))
    for number_of, (model, made) in enumerate(zip(comparison.models, comparison.calibrations, strict=True), start=1):
        says = f"Reliability diagram of {model.name}. Calibration error: {number(made.adaptive_ece)}."
        drawn.append(plots.reliability(made.bins, model.name, says, f"reliability-{number_of}"))
    table = Table("On the same films, each at its own threshold", HEADER, rows_of(comparison))
    return Section("comparison", "Side by side", [table, Plots(drawn)])


def _direction(apart: Figure) -> int:
    """1 or -1 where the interval says that the second is higher or lower, 0 where it does not say."""
    if apart.low is None or apart.high is None:
        return 0
    return 1 if apart.low > 0 else -1 if apart.high < 0 else 0


def _rates(figures: dict[str, Figure]) -> str:
    return f"sensitivity {value('sensitivity', figures['sensitivity'])}, specificity " + value(
        "specificity", figures["specificity"]
    )


def _sure(figure: Figure) -> str:
    ends = interval("auroc", figure)
    return ends if figure.low is None else f"95% interval {ends}"


def _apart(figure: Figure, points: bool = False) -> str:
    if figure.value is None:
        return "not defined"
    unit = " points" if points else ""
    return f"{_signed(figure.value, points)}{unit} ({_ends(figure.low, figure.high, points)})"


def _signed(value: float, points: bool = False) -> str:
    """`points`: a difference of shares, in percentage points."""
    return (f"{100 * value:+.1f}" if points else f"{value:+.3f}").replace("-", "\N{MINUS SIGN}")


def _ends(low: float | None, high: float | None, points: bool = False) -> str:
    return NOTHING if low is None or high is None else f"{_signed(low, points)} to {_signed(high, points)}"


def describe_comparison(comparison: Comparison) -> dict[str, Any]:
    """Plain data for JSON."""
    return {
        "hilum": __version__,
        "films": len(comparison.models[0]),
        "notes": comparison.notes,
        "bootstrap": {"over": "patients", "resamples": comparison.resamples, "seed": comparison.seed},
        "models": [
            {
                "name": model.name,
                "threshold": model.threshold,
                "figures": {name: figure.describe() for name, figure in figures.items()},
                "calibration": {name: figure.describe() for name, figure in made.figures().items()},
            }
            for model, figures, made in zip(comparison.models, comparison.figures, comparison.calibrations, strict=True)
        ],
        "differences": [
            {
                "first": each.first,
                "second": each.second,
                "verdict": verdict,
                "figures": {name: figure.describe() for name, figure in each.figures.items()},
                "delong": None if each.delong is None else each.delong._asdict(),
                "mcnemar": each.mcnemar._asdict(),
            }
            for each, verdict in zip(comparison.differences, verdicts(comparison), strict=True)
        ],
    }
