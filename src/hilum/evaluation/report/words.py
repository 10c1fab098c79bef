"""Figures as a person reads them: shares in percent, other figures with three digits, intervals beside them."""

from __future__ import annotations

import math

from hilum.evaluation.judge import Judgement
from hilum.measures.figure import Figure

NAMES = {
    "auroc": "AUROC",
    "average_precision": "Average precision",
    "sensitivity": "Sensitivity (recall)",
    "specificity": "Specificity",
    "ppv": "PPV (precision)",
    "npv": "NPV",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "mcc": "MCC",
    "recall": "Recall",
    "precision": "Precision",
    "macro_precision": "Macro precision",
    "macro_f1": "Macro F1",
    "macro_auroc": "Macro AUROC",
    "brier": "Brier score",
    "log_loss": "Log loss",
    "ece": "ECE, 15 bins of equal width",
    "adaptive_ece": "ECE, 15 bins of equal count",
    "slope": "Slope",
    "intercept": "Intercept",
    "in_the_large": "Intercept at slope 1",
}
BOX_NAMES = {
    "rsna_score": "RSNA score",
    "sensitivity": "true boxes found",
    "false_boxes": "false boxes a film",
    "map_50": "mAP at an overlap of 0.5",
    "map_50_95": "mAP at 0.5 to 0.95",
    "sensitivity_at_0.25": "sensitivity at 1/4 false box a film",
    "sensitivity_at_0.5": "sensitivity at 1/2 false box a film",
    "sensitivity_at_1": "sensitivity at 1 false box a film",
    "sensitivity_at_2": "sensitivity at 2 false boxes a film",
    "auroc_of_scores": "AUROC of the highest score of a film",
}
WHOSE = {"child": "children", "adult": "adults"}
NOTHING = "\N{EN DASH}"  # in a cell that has no figure
IN_PERCENT = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "recall", "precision", "balanced_accuracy")


def threshold_in_words(judged: Judgement) -> str:
    """That of all films, or those of children and of adults."""
    return ", ".join(
        f"{point.threshold:.4f}" + ("" if patient is None else f" for {WHOSE[patient]}")
        for patient, point in judged.points.items()
    )


def value(name: str, figure: Figure) -> str:
    """A figure as tables show it: shares in percent, others as numbers."""
    if figure.value is None:
        return "not defined"
    return percent(figure.value) if _is_share(name) else number(figure.value)


def interval(name: str, figure: Figure) -> str:
    """Its 95% interval, or why there is none."""
    if figure.value is None:
        return figure.why
    if figure.low is None or figure.high is None:
        return figure.why or NOTHING
    return between(name, (figure.low, figure.high))


def between(name: str, ends: tuple[float, float] | None) -> str:
    """Two ends of an interval."""
    if ends is None:
        return NOTHING
    if not _is_share(name):
        return f"{number(ends[0])} to {number(ends[1])}"
    return f"{percent(ends[0]).removesuffix('%')} to {percent(ends[1])}"


def with_interval(name: str, figure: Figure) -> str:
    """A figure and, in brackets, its interval."""
    if figure.value is None or figure.low is None:
        return value(name, figure)
    return f"{value(name, figure)} ({interval(name, figure)})"


def of_what(figure: Figure) -> str:
    """The counts behind a share."""
    return "" if figure.of is None else f"{figure.hits:,} of {figure.of:,}"


def percent(share: float) -> str:
    """All and none are said only of all and none: 99.96% is not 100.0%."""
    if math.isnan(share):
        return NOTHING
    if 0 < share < 0.0005 or 0.9995 <= share < 1:
        return f"{min(max(share, 0.0001), 0.9999):.2%}"
    return f"{share:.1%}"


def number(value: float) -> str:
    """A number that is no share, with a real minus sign."""
    # Adding 0 takes the sign from what rounds to nothing.
    return NOTHING if math.isnan(value) else f"{round(value, 3) + 0:.3f}".replace("-", "\N{MINUS SIGN}")


def p_value(p: float) -> str:
    """A p-value, no more exact than it is meant."""
    return "< 0.001" if p < 0.001 else f"{p:.3f}"


def _is_share(name: str) -> bool:
    return name.split("_at_")[0] in IN_PERCENT
