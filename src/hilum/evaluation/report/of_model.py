"""The sections of a report that are about the model: its decisions, ranking, probabilities and use."""

from __future__ import annotations

import math

from hilum.evaluation.measure import Evaluation
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Block, Folded, Plots, Section, Table, Text
from hilum.evaluation.report.words import (
    NAMES,
    NOTHING,
    between,
    interval,
    number,
    of_what,
    percent,
    value,
    with_interval,
)
from hilum.measures.figure import Figure
from hilum.measures.films.binary import PREVALENCES
from hilum.measures.films.calibration import Calibration
from hilum.measures.films.multiclass import ByClass
from hilum.measures.films.thresholds import Fixed, Row
from hilum.measures.intervals import Z

DECISIONS = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "mcc")


def decisions(evaluation: Evaluation) -> Section:
    judged, passed = evaluation.judgement, evaluation.passed
    films, patients = len(judged.predictions), len(set(judged.predictions.patients.tolist()))
    header = ["Figure", "Value", "95% interval", "Films", "95% by patients"]
    rows = [[NAMES[name], *_figure_row(name, evaluation.all[name])] for name in DECISIONS]
    if passed is not None:
        header.append("Passed by the gate")
        for name, row in zip(DECISIONS, rows, strict=True):
            row.append(with_interval(name, passed[name]))
    blocks: list[Block] = [
        Table(f"At the operating point “{judged.point.name}”, threshold {judged.point.threshold:.4f}", header, rows),
        Text(
            "Shares of films have Wilson's interval, which takes films as independent; “by patients” is the bootstrap "
            f"over patients ({evaluation.resamples:,} resamples, seed {evaluation.seed}). "
            + ("Trust the latter: there are more films than patients." if films > patients else ""),
            "hint",
        ),
        _confusion(evaluation),
        Table(
            "Where pneumonia is rarer than here: what a call would be worth at the same sensitivity and specificity",
            ["Share with pneumonia", "PPV", "95% interval", "NPV", "95% interval"],
            [_at_prevalence(evaluation, prevalence) for prevalence in PREVALENCES],
        ),
    ]
    return Section("decisions", "Decisions at the operating point", blocks)


def _figure_row(name: str, figure: Figure) -> list[str]:
    by_patients = between(name, figure.by_patients) if figure.of is not None else interval(name, figure)
    return [
        value(name, figure),
        interval(name, figure) if figure.of is not None else NOTHING,
        of_what(figure),
        by_patients,
    ]


def _confusion(evaluation: Evaluation) -> Table:
    rows = [
        [name, *(f"{count:,} ({percent(count / max(sum(row), 1))})" for count in row), f"{sum(row):,}"]
        for name, row in zip(("Truly without", "Truly with"), evaluation.confusion.tolist(), strict=True)
    ]
    return Table("Confusion matrix", ["Films", "Called no pneumonia", "Called pneumonia", "All"], rows)


def _at_prevalence(evaluation: Evaluation, prevalence: float) -> list[str]:
    row = [f"{prevalence:.0%}"]
    for name in ("ppv", "npv"):
        figure = evaluation.all[f"{name}_at_{prevalence:.0%}"]
        row += [value(name, figure), interval(name, figure)]
    return row


def ranking(evaluation: Evaluation) -> Section:
    figures, point = evaluation.all, _point(evaluation.all, "sensitivity", "specificity")
    films = evaluation.judgement.predictions
    prevalence = float(films.truth.mean())
    shortcut = evaluation.shortcut
    alone, spread = shortcut.auc or 0, None if shortcut.standard_error is None else Z * shortcut.standard_error
    auroc, precision = with_interval("auroc", figures["auroc"]), with_interval("ap", figures["average_precision"])
    rows = [
        ["AUROC", value("auroc", figures["auroc"]), interval("auroc", figures["auroc"])],
        [
            f"Average precision (chance: {prevalence:.3f})",
            value("ap", figures["average_precision"]),
            interval("ap", figures["average_precision"]),
        ],
        [
            "AUROC of metadata alone (file, encoding, border)",
            "not measured" if shortcut.auc is None else number(shortcut.auc),
            NOTHING if spread is None else between("auc", (max(alone - spread, 0), min(alone + spread, 1))),
        ],
    ]
    blocks: list[Block] = [Table("Independent of any threshold", ["Figure", "Value", "95% interval"], rows)]
    if figures["auroc"].value is None:
        blocks.append(Text(f"No curves: {figures['auroc'].why}."))
    else:
        says = f"ROC curve with AUROC {auroc}. {_at_point(figures, 'sensitivity', 'specificity')}"
        says_pr = f"Precision against recall, average precision {precision}. {_at_point(figures, 'sensitivity', 'ppv')}"
        blocks.append(
            Plots(
                [
                    plots.roc([("model", evaluation.roc)], point, says),
                    plots.precision_recall(evaluation.roc, prevalence, _point(figures, "sensitivity", "ppv"), says_pr),
                ]
            )
        )
    said = " ".join(shortcut.sentences)
    blocks.append(Text(f"Metadata alone, from the audit, on these films: {said}", "hint"))
    return Section("ranking", "Ranking: ROC and precision-recall", blocks)


def _point(figures: dict[str, Figure], first: str, second: str) -> tuple[float, float] | None:
    one, other = figures[first].value, figures[second].value
    return None if one is None or other is None else (one, other)


def _at_point(figures: dict[str, Figure], first: str, second: str) -> str:
    point = _point(figures, first, second)
    if point is None:
        return ""
    return f"At the operating point {NAMES[first]} {percent(point[0])}, {NAMES[second]} {percent(point[1])}."


def calibrated(evaluation: Evaluation) -> Section:
    after, before = evaluation.after, evaluation.before
    card = evaluation.judgement.card.calibration
    films = evaluation.judgement.predictions
    header = ["Figure", "As shipped", "95% interval"] + ([] if before is None else ["Before calibration"])
    rows = []
    for name, figure in after.figures().items():
        row = [NAMES[name], value(name, figure), interval(name, figure)]
        if before is not None:
            row.append(value(name, before.figures()[name]))
        rows.append(row)
    done = {
        "none": "none",
        "temperature": f"temperature {card.temperature:.3f}",
        "platt": "Platt's sigmoid",
        "isotonic": "isotonic regression",
    }[card.method]
    series = [("as shipped", after.bins)] + ([] if before is None else [("before calibration", before.bins)])
    says = f"Reliability diagram. {_bins_in_words(after)}"
    shown = [
        plots.reliability(series, says),
        plots.histogram(films.probability, films.truth, films.threshold, _histogram_in_words(evaluation)),
    ]
    blocks: list[Block] = [
        Text(f"Calibration in the bundle: {done}, fitted on validation. {evaluation.why_no_before}".strip()),
        Table("Do the probabilities mean what they say?", header, rows),
        Text(
            "Slope 1 and intercept 0 are right. A slope below 1 says that probabilities are too extreme; an intercept "
            "at slope 1 above 0, that they are too low. Log loss and slope take no probability closer than 0.000001 to "
            "0 or 1.",
            "hint",
        ),
        Plots(shown),
    ]
    return Section("calibration", "Calibration: can the probabilities be taken at their word?", blocks)


def _bins_in_words(made: Calibration) -> str:
    told = (f"{percent(each.predicted)} predicted, {percent(each.observed)} observed" for each in made.bins)
    return f"Groups of films: {'; '.join(told)}."


def _histogram_in_words(evaluation: Evaluation) -> str:
    films = evaluation.judgement.predictions
    told = [
        f"{name} pneumonia: median {number(float(sorted(part)[len(part) // 2]))}"
        for name, part in (
            ("films with", films.probability[films.truth]),
            ("films without", films.probability[~films.truth]),
        )
        if len(part)
    ]
    return f"Histogram of probabilities. {'; '.join(told)}."


def usefulness(evaluation: Evaluation) -> Section:
    curve, threshold = evaluation.decision_curve, evaluation.judgement.point.threshold
    better = curve.thresholds[(curve.model > curve.treat_all + 1e-12) & (curve.model > 1e-12)]
    where = f"from {better[0]:.2f} to {better[-1]:.2f}" if len(better) else "at no threshold"
    says = f"Decision curve: acting on the model has more net benefit than acting on every film or on none {where}."
    return Section(
        "usefulness",
        "Decision curve: is acting on it worth it?",
        [
            Text(
                "Net benefit counts films rightly called pneumonia, less those wrongly called, weighed by the "
                "threshold probability: at 0.2, four needless calls weigh as much as one missed pneumonia. It holds at "
                "this share of pneumonia."
            ),
            Plots([plots.net_benefit(curve, threshold, says)]),
            Text(says),
        ],
    )


def thresholds(evaluation: Evaluation) -> Section:
    point = evaluation.judgement.point
    blocks: list[Block] = [
        Text(
            "Read off these very films, to show what other thresholds would trade. A threshold that is chosen here "
            "must be judged on other films.",
            "caution",
        ),
        Table(
            "Sensitivity at a fixed specificity, and the other way round",
            [
                "At least",
                "Sensitivity at that specificity",
                "Threshold",
                "Specificity at that sensitivity",
                "Threshold",
            ],
            [
                [percent(one.at_least), *_fixed(one), *_fixed(other)]
                for one, other in zip(evaluation.sensitivity_at, evaluation.specificity_at, strict=True)
            ],
        ),
    ]
    sweep = Table(
        "Sweep of thresholds",
        ["Threshold", "Sensitivity", "Specificity", "PPV", "NPV", "F1", "Films called"],
        [_swept(row) for row in evaluation.sweep],
    )
    blocks.append(Folded("Every threshold from 0.05 to 0.95", [sweep]))
    if evaluation.best is not None:
        name = "Best threshold on this split (Youden; flatters, not to be used)"
        best = [[_threshold(evaluation.best.threshold), *_swept(evaluation.best)[1:]]]
        blocks.append(Table(name, sweep.header, best))
    blocks.append(Text(f"The operating point was fixed on validation: {point.rule}, threshold {point.threshold:.4f}."))
    return Section("thresholds", "Other thresholds", blocks)


def _fixed(row: Fixed) -> list[str]:
    if row.best is None or row.threshold is None:
        return ["not defined", NOTHING]
    return [percent(row.best), _threshold(row.threshold)]


def _threshold(threshold: float) -> str:
    return "above all films" if math.isinf(threshold) else f"{threshold:.4f}"


def _swept(row: Row) -> list[str]:
    rates = (row.sensitivity, row.specificity, row.ppv, row.npv)
    return [f"{row.threshold:.2f}", *map(percent, rates), number(row.f1), f"{row.called:,}"]


def classes(made: ByClass) -> Section:
    header = ["Class", "Films", "Recall", "Precision", "F1", "AUROC against the rest"]
    rows = [
        [
            name,
            f"{figures['recall'].of or 0:,}",
            *(with_interval(key, figures[key]) for key in ("recall", "precision", "f1", "auroc")),
        ]
        for name, figures in made.of_class.items()
    ]
    overall = [[NAMES[key], value(key, figure), interval(key, figure)] for key, figure in made.overall.items()]
    confusion = [
        [f"Truly {name}", *(f"{count:,}" for count in row)]
        for name, row in zip(made.classes, made.confusion.tolist(), strict=True)
    ]
    return Section(
        "classes",
        "All classes",
        [
            Text("The class called is the most probable one, whatever the operating point."),
            Table("Over all classes", ["Figure", "Value", "95% interval"], overall),
            Table("Each class", header, rows),
            Table("Confusion matrix of classes", ["Films", *(f"Called {name}" for name in made.classes)], confusion),
        ],
    )
