"""A Comparison as a Document, and as plain data."""

from __future__ import annotations

from typing import Any

from hilum import __version__
from hilum.dataset.audit.finding import counted
from hilum.evaluation.comparison.paired import Comparison, Difference
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Block, Document, Plots, Section, Table, Text, Tile
from hilum.evaluation.report.words import NAMES, NOTHING, interval, number, p_value, percent, value, with_interval
from hilum.measures.figure import Figure
from hilum.measures.films.binary import curve

SHOWN = ("auroc", "average_precision", "sensitivity", "specificity", "accuracy", "f1")
HEADER = ("Model", "Threshold", *(NAMES[name] for name in SHOWN), "ECE (adaptive)")


def rows_of(comparison: Comparison) -> list[list[str]]:
    """One row a model."""
    return [
        [
            model.name,
            f"{model.threshold:.4f}",
            *(with_interval(name, figures[name]) for name in SHOWN),
            number(made.adaptive_ece),
        ]
        for model, figures, made in zip(comparison.models, comparison.figures, comparison.calibrations, strict=True)
    ]


def difference_in_words(difference: Difference) -> str:
    apart, tested = difference.figures["auroc"], difference.delong
    if apart.value is None:
        said = f"{difference.second} against {difference.first}: no AUROC, {apart.why}"
    else:
        sure = f" ({_ends(apart.low, apart.high)})" if apart.low is not None else ""
        said = f"{difference.second} less {difference.first}: AUROC {_signed(apart.value)}{sure}"
    said += f", DeLong p {p_value(tested.p_value)}" if tested is not None else ""
    test = difference.mcnemar
    return (
        f"{said}; {counted(test.only_second, 'film')} right that {difference.first} has wrong and {test.only_first:,} "
        f"the other way round, McNemar p {p_value(test.p_value)}"
    )


def make_comparison_report(comparison: Comparison) -> Document:
    first = comparison.models[0]
    patients = len(set(first.patients.tolist()))
    curves = [(model.name, curve(model.probability, model.truth)) for model in comparison.models]
    told = "; ".join(
        f"{m.name} {with_interval('auroc', f['auroc'])}"
        for m, f in zip(comparison.models, comparison.figures, strict=True)
    )
    overlays = []
    if comparison.figures[0]["auroc"].value is not None:
        overlays.append(plots.roc(curves, None, f"ROC curves. AUROC: {told}."))
    overlays.append(
        plots.reliability(
            [(m.name, made.bins) for m, made in zip(comparison.models, comparison.calibrations, strict=True)],
            "Reliability of each model. Calibration error: "
            + "; ".join(
                f"{m.name} {number(made.adaptive_ece)}"
                for m, made in zip(comparison.models, comparison.calibrations, strict=True)
            ),
        )
    )
    blocks: list[Block] = [
        Table("On the same films, each at its own threshold", HEADER, rows_of(comparison)),
        Table(
            f"Less {first.name}, rates in percentage points",
            ["Model", "AUROC", "DeLong p", "Sensitivity", "Specificity", "Accuracy", "McNemar p", "Right alone"],
            [_difference_row(each) for each in comparison.differences],
        ),
        Text(
            f"Differences have the paired bootstrap over patients ({comparison.resamples:,} resamples, seed "
            f"{comparison.seed}). DeLong's and McNemar's tests take films as independent. No p-value is adjusted for "
            f"the number of models. Right alone are the films that a model has right and {first.name} has wrong, "
            "against those the other way round. What a gate turns away is judged as well.",
            "hint",
        ),
        Plots(overlays),
    ]
    return Document(
        title=f"{len(comparison.models)} models on the same films",
        subtitle=f"{counted(len(first), 'film')} of {counted(patients, 'patient')}, {int(first.truth.sum()):,} with "
        f"pneumonia ({percent(float(first.truth.mean()))})",
        stamp="",
        answer="\n".join(f"{difference_in_words(each)}." for each in comparison.differences),
        tiles=[
            Tile(model.name, value("auroc", figures["auroc"]), f"AUROC, {_sure(figures['auroc'])}", "")
            for model, figures in zip(comparison.models, comparison.figures, strict=True)
        ],
        cautions=comparison.notes,
        sections=[Section("comparison", "Side by side", blocks)],
    )


def _sure(figure: Figure) -> str:
    said = interval("auroc", figure)
    return said if figure.low is None else f"95% interval {said}"


def _difference_row(each: Difference) -> list[str]:
    return [
        each.second,
        _apart(each.figures["auroc"]),
        each.why_no_delong if each.delong is None else p_value(each.delong.p_value),
        *(_apart(each.figures[name], points=True) for name in ("sensitivity", "specificity", "accuracy")),
        p_value(each.mcnemar.p_value),
        f"{each.mcnemar.only_second:,} against {each.mcnemar.only_first:,}",
    ]


def _apart(figure: Figure, points: bool = False) -> str:
    if figure.value is None:
        return "not defined"
    return f"{_signed(figure.value, points)} ({_ends(figure.low, figure.high, points)})"


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
                "figures": {name: figure.describe() for name, figure in each.figures.items()},
                "delong": None if each.delong is None else each.delong._asdict(),
                "mcnemar": each.mcnemar._asdict(),
            }
            for each in comparison.differences
        ],
    }
