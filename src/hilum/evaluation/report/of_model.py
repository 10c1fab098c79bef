"""The sections of a report that are about the model: its decisions, ranking, probabilities and use."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import cast

from hilum.bundle.card import Calibration
from hilum.dataset.audit.finding import counted
from hilum.evaluation.judge import PATIENT, Judgement
from hilum.evaluation.measure import Evaluation, Unsure
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Beside, Block, Column, Folded, Matrix, Plots, Section, Table, Text
from hilum.evaluation.report.words import (
    NAMES,
    NOTHING,
    WHOSE,
    between,
    interval,
    number,
    of_what,
    percent,
    threshold_in_words,
    value,
    with_interval,
)
from hilum.evaluation.subgroups import Subgroup
from hilum.measures.figure import Figure
from hilum.measures.films.binary import PREVALENCES
from hilum.measures.films.calibration import Reliability
from hilum.measures.films.multiclass import ByClass
from hilum.measures.films.thresholds import Fixed, Row
from hilum.measures.intervals import Z
from hilum.radiograph.patient import Patient

DECISIONS = ("sensitivity", "specificity", "ppv", "npv", "accuracy", "balanced_accuracy", "f1", "mcc")
OF = {
    "sensitivity": "with pneumonia",
    "specificity": "without",
    "ppv": "called pneumonia",
    "npv": "called none",
    "accuracy": "called right",
}


def decisions(evaluation: Evaluation) -> Section:
    """The figures at the operating point, which was fixed beforehand."""
    judged = evaluation.judgement
    films, patients = len(judged.predictions), len(set(judged.predictions.patients.tolist()))
    figures = Table(
        f"At the operating point “{judged.point.name}”, threshold {threshold_in_words(judged)}",
        ["Figure", "Value", "95% interval", "95% by patients", "Films"],
        [[NAMES[name], *_figure_row(name, evaluation.all[name])] for name in DECISIONS],
    )
    how_sure = Text(
        "Shares of films have Wilson's interval, which takes films as independent; “by patients” is the bootstrap "
        f"over patients ({evaluation.resamples:,} resamples, seed {evaluation.seed}). "
        + ("Trust the latter: there are more films than patients." if films > patients else ""),
        "hint",
    )
    elsewhere = Table(
        "What a call would be worth where pneumonia is rarer, at this sensitivity and specificity",
        ["Share with pneumonia", "PPV (95% interval)", "NPV (95% interval)"],
        [
            [
                f"{prevalence:.0%}",
                *(with_interval(name, evaluation.all[f"{name}_at_{prevalence:.0%}"]) for name in ("ppv", "npv")),
            ]
            for prevalence in PREVALENCES
        ],
    )
    blocks: list[Block] = [Beside([[_confusion(evaluation), elsewhere], [figures, how_sure]], shares=(6, 7))]
    if groups := evaluation.subgroups.get(PATIENT):
        blocks.append(_by_patient(judged, groups))
    return Section("decisions", "Decisions at the operating point", blocks)


def _by_patient(judged: Judgement, groups: Sequence[Subgroup]) -> Table:
    """Children and adults apart, whether or not the bundle has a threshold for each."""
    rows = []
    for group in groups:
        point = judged.points.get(cast("Patient", group.name), judged.points.get(None))
        shown = [with_interval(name, group.figures[name]) for name in ("auroc", "sensitivity", "specificity")]
        threshold = NOTHING if point is None else f"{point.threshold:.4f}"
        rows.append([WHOSE.get(group.name, group.name), f"{group.films:,}", f"{group.sick:,}", threshold, *shown])
    header = ["Films of", "Films", "With pneumonia", "Threshold", "AUROC", "Sensitivity", "Specificity"]
    return Table("Children and adults (95% intervals in brackets)", header, rows)


def _figure_row(name: str, figure: Figure) -> list[str]:
    by_patients = between(name, figure.by_patients) if figure.of is not None else interval(name, figure)
    return [
        value(name, figure),
        interval(name, figure) if figure.of is not None else NOTHING,
        by_patients,
        f"{of_what(figure)} {OF[name]}" if figure.of is not None else "",
    ]


def _confusion(evaluation: Evaluation) -> Matrix:
    return Matrix(
        "What was called what",
        ["Without pneumonia", "With pneumonia"],
        ["Called no pneumonia", "Called pneumonia"],
        evaluation.confusion.tolist(),
        [["rightly cleared", "wrongly called"], ["missed", "recognized"]],
    )


def ranking(evaluation: Evaluation) -> Section:
    """How well probabilities order films, at all thresholds at once."""
    figures, point = evaluation.all, _point(evaluation.all, "sensitivity", "specificity")
    films = evaluation.judgement.predictions
    prevalence = float(films.truth.mean())
    shortcut = evaluation.shortcut
    alone = "not measured"
    if shortcut.auc is not None and shortcut.standard_error is not None:
        spread = Z * shortcut.standard_error
        ends = between("auc", (max(shortcut.auc - spread, 0), min(shortcut.auc + spread, 1)))
        alone = f"{number(shortcut.auc)} ({ends})"
    auroc, precision = with_interval("auroc", figures["auroc"]), with_interval("ap", figures["average_precision"])
    rows = [
        ["AUROC (chance: 0.5)", auroc],
        [f"Average precision (chance: {prevalence:.3f})", precision],
        ["AUROC of metadata alone (file, encoding, border)", alone],
    ]
    figures_table = Table("Independent of any threshold", ["Figure", "Value (95% interval)"], rows)
    hint = Text(f"Metadata alone, from the audit, on these films: {' '.join(shortcut.sentences)}", "hint")
    if figures["auroc"].value is None:
        blocks: list[Block] = [figures_table, Text(f"No curves: {figures['auroc'].why}."), hint]
    else:
        says = f"ROC curve with AUROC {auroc}. {_at_point(figures, 'sensitivity', 'specificity')}"
        says_pr = f"Precision against recall, average precision {precision}. {_at_point(figures, 'sensitivity', 'ppv')}"
        roc = plots.roc([("model", evaluation.roc)], point, says)
        recall = plots.precision_recall(evaluation.roc, prevalence, _point(figures, "sensitivity", "ppv"), says_pr)
        blocks = [Beside([[figures_table, hint], [Plots([roc])], [Plots([recall])]])]
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
    """How far probabilities can be taken at their word, before and after calibration."""
    after, before = evaluation.after, evaluation.before
    card = evaluation.judgement.card
    films = evaluation.judgement.predictions
    header = ["Figure", "As shipped", "95% interval"] + ([] if before is None else ["Before calibration"])
    rows = []
    for name, figure in after.figures().items():
        row = [NAMES[name], value(name, figure), interval(name, figure)]
        if before is not None:
            row.append(value(name, before.figures()[name]))
        rows.append(row)
    done = ", ".join(f"{_how(group.calibration)} for a film of a {group.name}" for group in card.groups)
    if card.calibration is not None:
        done = _how(card.calibration)
    table = Table("Do the probabilities mean what they say?", header, rows)
    reading = Text(
        "Slope 1 and intercept 0 are right. A slope below 1 says that probabilities are too extreme; an intercept "
        "at slope 1 above 0, that they are too low. Log loss and slope take no probability closer than 0.000001 to "
        "0 or 1.",
        "hint",
    )
    shipped = plots.reliability(after.bins, "as shipped", f"Reliability diagram. {_bins_in_words(after)}")
    given = plots.histogram(films.probability, films.truth, _thresholds(evaluation), _histogram_in_words(evaluation))
    blocks: list[Block] = [
        Text(f"Calibration in the bundle: {done}, fitted on validation. {evaluation.why_no_before}".strip())
    ]
    if before is None:
        blocks.append(Beside([[table, reading], [Plots([shipped])], [Plots([given])]]))
    else:
        says = f"Reliability diagram before calibration. {_bins_in_words(before)}"
        raw = plots.reliability(before.bins, "before calibration", says, "reliability-before")
        blocks += [Beside([[table, reading], [Plots([given])]]), Beside([[Plots([shipped])], [Plots([raw])]])]
    return Section("calibration", "Calibration: can the probabilities be taken at their word?", blocks)


def _thresholds(evaluation: Evaluation) -> list[float]:
    return [point.threshold for point in evaluation.judgement.points.values()]


def _how(calibration: Calibration) -> str:
    return {
        "none": "none",
        "temperature": f"temperature {calibration.temperature:.3f}",
        "platt": "Platt's sigmoid",
        "isotonic": "isotonic regression",
    }[calibration.method]


def _bins_in_words(made: Reliability) -> str:
    groups = (f"{percent(each.predicted)} predicted, {percent(each.observed)} observed" for each in made.bins)
    return f"Groups of films: {'; '.join(groups)}."


def _histogram_in_words(evaluation: Evaluation) -> str:
    films = evaluation.judgement.predictions
    columns = [
        f"{name} pneumonia: median {number(float(sorted(part)[len(part) // 2]))}"
        for name, part in (
            ("films with", films.probability[films.truth]),
            ("films without", films.probability[~films.truth]),
        )
        if len(part)
    ]
    return f"Histogram of probabilities. {'; '.join(columns)}."


def usefulness(evaluation: Evaluation) -> Section:
    """Where acting on the model does more good than acting on every film or on none."""
    curve = evaluation.decision_curve
    better = (curve.model > curve.treat_all + 1e-12) & (curve.model > 1e-12)
    # Where few films are left, the curve may dip and come back: the longest stretch is what can be relied on.
    stretches = [list(run) for holds, run in groupby(range(len(better)), key=better.__getitem__) if holds]
    longest = max(stretches, key=len, default=[])
    ends = [f"{curve.thresholds[place]:.2f}" for place in (longest[0], longest[-1])] if longest else []
    where = f"from {ends[0]} to {ends[1]}" if ends else "at no threshold"
    says = f"Decision curve: acting on the model has more net benefit than acting on every film or on none {where}."
    meaning = Text(
        "Net benefit counts films rightly called pneumonia, less those wrongly called, weighed by the "
        "threshold probability: at 0.2, four needless calls weigh as much as one missed pneumonia. It holds at "
        "this share of pneumonia."
    )
    drawn = Plots([plots.net_benefit(curve, _thresholds(evaluation), says)])
    return Section(
        "usefulness", "Decision curve: is acting on it worth it?", [Beside([[meaning, Text(says)], [drawn]])]
    )


def thresholds(evaluation: Evaluation) -> Section:
    """What other thresholds would trade on these films."""
    point = evaluation.judgement.point
    warning = Text(
        "Read off these very films, to show what other thresholds would trade. A threshold that is chosen here "
        "must be judged on other films.",
        "caution",
    )
    fixed = Table(
        "Sensitivity at a fixed specificity, and the other way round",
        ["At least", "Sensitivity at that specificity", "Threshold", "Specificity at that sensitivity", "Threshold"],
        [
            [percent(one.at_least), *_fixed(one), *_fixed(other)]
            for one, other in zip(evaluation.sensitivity_at, evaluation.specificity_at, strict=True)
        ],
    )
    sweep = Table(
        "Sweep of thresholds",
        ["Threshold", "Sensitivity", "Specificity", "PPV", "NPV", "F1", "Films called"],
        [_swept(row) for row in evaluation.sweep],
    )
    others: list[Column] = []
    if evaluation.best is not None:
        name = "Best threshold on this split (Youden; flatters, not to be used)"
        best = [[_threshold(evaluation.best.threshold), *_swept(evaluation.best)[1:]]]
        others.append(Table(name, sweep.header, best))
    others.append(Folded("Every threshold from 0.05 to 0.95", [sweep]))
    fixed_at = f"{point.rule}, threshold {threshold_in_words(evaluation.judgement)}"
    others.append(Text(f"The operating point was fixed on validation: {fixed_at}."))
    return Section("thresholds", "Other thresholds", [warning, Beside([[fixed], others])])


def _fixed(row: Fixed) -> list[str]:
    if row.best is None or row.threshold is None:
        return ["not defined", NOTHING]
    return [percent(row.best), _threshold(row.threshold)]


def _threshold(threshold: float) -> str:
    return "above all films" if math.isinf(threshold) else f"{threshold:.4f}"


def _swept(row: Row) -> list[str]:
    rates = (row.sensitivity, row.specificity, row.ppv, row.npv)
    return [f"{row.threshold:.2f}", *map(percent, rates), number(row.f1), f"{row.called:,}"]


def classes(made: ByClass, unsure: Sequence[Unsure]) -> Section:
    """The figures of each class, where there are more than two."""
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
    confusion = Matrix(
        "What was called what",
        [*(f"Truly {name}" for name in made.classes), *(f"Truly {' or '.join(each.may_be)}" for each in unsure)],
        [f"Called {name}" for name in made.classes],
        [*made.confusion.tolist(), *(list(each.called) for each in unsure)],
    )
    several = [
        Text(
            f"The label of {counted(each.films, 'film')} stands for {' or '.join(each.may_be)}: {each.right:,} "
            f"({percent(each.right / each.films)}) were called one of these. They count in no figure below."
        )
        for each in unsure
    ]
    return Section(
        "classes",
        "All classes",
        [
            Text("The class called is the most probable one, whatever the operating point."),
            *several,
            Beside([[confusion], [Table("Over all classes", ["Figure", "Value", "95% interval"], overall)]]),
            Table("Each class", header, rows),
        ],
    )
