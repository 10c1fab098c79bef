"""The sections of a report that are about the films: parts of them, abstentions, heatmaps, provenance."""

from __future__ import annotations

from hilum import __version__
from hilum.bundle.card import Card
from hilum.dataset.audit.finding import counted
from hilum.evaluation.judge import PATIENT, Judgement
from hilum.evaluation.measure import Evaluation
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Beside, Block, Code, Column, Plots, Section, Table, Text
from hilum.evaluation.report.film_pictures import short
from hilum.evaluation.report.gallery import Chosen
from hilum.evaluation.report.words import NAMES, NOTHING, WHOSE, interval, number, percent, value, with_interval
from hilum.evaluation.subgroups import Subgroup

MOST_LISTED = 40
TITLES = {
    PATIENT: "Patient",
    "label": "Label in the data set",
    "age": "Age in years",
    "view": "View",
    "sex": "Sex",
    "source": "Source",
}


def subgroups(evaluation: Evaluation) -> Section:
    """The figures of each value of a column, whose differences may be of chance."""
    header = ["Group", "Films", "With pneumonia", "AUROC", "Sensitivity", "Specificity", "Abstained"]
    blocks: list[Block] = []
    for column, groups in evaluation.subgroups.items():
        rows = [_group(group) for group in groups]
        noted = any(group.small for group in groups)
        if noted:
            rows = [[*row, group.small] for row, group in zip(rows, groups, strict=True)]
        blocks.append(Table(TITLES.get(column, column), [*header, "Note"] if noted else header, rows))
    if evaluation.columns_alike:
        listed = ", ".join(evaluation.columns_alike)
        blocks.append(Text(f"Not known, or the same for all of these films: {listed}.", "hint"))
    if blocks and evaluation.subgroups:
        blocks.insert(
            0, Text("Many groups are compared here: some differ by chance. 95% intervals in brackets.", "hint")
        )
    return Section("subgroups", "Parts of the films", blocks)


def _group(group: Subgroup) -> list[str]:
    def cell(name: str) -> str:
        figure = group.figures[name]
        return NOTHING if figure.value is None else with_interval(name, figure)

    counts = [f"{group.films:,}", f"{group.sick:,}"]
    return [
        group.name,
        *counts,
        *map(cell, ("auroc", "sensitivity", "specificity")),
        f"{group.abstained:,}",
    ]


def abstentions(evaluation: Evaluation) -> Section:
    """Which films got no answer, and what the gate changes in the figures."""
    judged, films, curve = evaluation.judgement, evaluation.judgement.predictions, evaluation.risk_coverage
    turned = films.turned_away
    columns: list[Column] = []
    passed = None
    if judged.card.gate is None:
        columns.append(Text("The bundle has no gate: it gives a probability for every picture, whatever it shows."))
    else:
        count = int(turned.sum())
        columns.append(
            Text(f"The gate turned {count:,} of {counted(len(films), 'film')} away ({percent(count / len(films))}).")
        )
    if evaluation.passed is not None:
        columns.append(_with_and_without(evaluation))
        kept = ~turned
        wrong = (films.called != films.truth)[kept]
        passed = (float(kept.mean()), float(wrong.mean()))
    half = float(curve.risk[(curve.coverage >= 0.5).argmax()])
    says = (
        f"Risk-coverage curve: {percent(float(curve.risk[-1]))} errors when every film is decided, {percent(half)} on "
        f"the surer half; area under it {number(curve.area)}."
    )
    columns.append(Text(says + " Sure is a probability far from the threshold."))
    blocks: list[Block] = [Beside([columns, [Plots([plots.risk(curve, passed, says)])]])]
    rows = [
        [
            short(films.paths[row]),
            films.gate[row].replace("_", " "),
            "with" if films.truth[row] else "without",
            percent(float(films.probability[row])),
        ]
        for row in turned.nonzero()[0].tolist()
    ]
    if rows:
        header = ["Film", "Turned away because", "Truth", "Probability of pneumonia, if the gate is not asked"]
        blocks.append(Table("Films that were turned away", header, rows[:MOST_LISTED], numbers=False))
    if len(rows) > MOST_LISTED:
        blocks.append(Text(f"and {len(rows) - MOST_LISTED:,} more, in predictions.csv."))
    if films.failures:
        failed = [[short(failure.path), failure.error] for failure in films.failures[:MOST_LISTED]]
        blocks.append(Table("Films that could not be judged", ["Film", "Why"], failed, numbers=False))
    return Section("abstentions", "Abstentions", blocks)


def _with_and_without(evaluation: Evaluation) -> Table:
    passed = evaluation.passed or {}
    rows = [
        [NAMES[name], with_interval(name, evaluation.all[name]), with_interval(name, passed[name])]
        for name in ("auroc", "sensitivity", "specificity", "ppv", "npv", "accuracy")
    ]
    return Table("With and without the gate", ["Figure", "All films", "Films that the gate passed"], rows)


def errors(chosen: Chosen) -> Section:
    """The galleries of films."""
    blocks: list[Block] = list(chosen.galleries)
    blocks.insert(0, Text(chosen.about, "hint"))
    return Section("errors", "Errors to look at", blocks)


def heatmaps(evaluation: Evaluation) -> Section | None:
    """Whether heatmaps point at true boxes; None where that was not measured."""
    pointed = evaluation.pointed
    if pointed is None:
        return None
    rows = [
        [
            "Highest place lies in a box",
            value("recall", pointed.hits),
            interval("recall", pointed.hits),
            percent(pointed.area),
        ],
        ["Evidence that lies in boxes", percent(pointed.energy), NOTHING, percent(pointed.area)],
    ]
    return Section(
        "heatmaps",
        "Do heatmaps point to the boxes?",
        [
            Table(
                f"{counted(pointed.hits.of or 0, 'film')} with boxes",
                ["Figure", "Value", "95% interval", "Chance (share of the film in boxes)"],
                rows,
            )
        ],
    )


def provenance(judged: Judgement) -> Section:
    """What the model was trained on, and which films it is judged on."""
    card, data = judged.card, judged.card.data
    labels = sorted({label for by_label in data.counts.values() for label in by_label})
    counts = [
        [split, *(f"{by_label.get(label, 0):,}" for label in labels), f"{data.patients.get(split, 0):,}"]
        for split, by_label in data.counts.items()
    ]
    facts = [
        ["Bundle", f"{judged.model.name}, {judged.model.stat().st_size / 1e6:.1f} MB, made {card.made}"],
        ["Network", " and ".join(card.networks) or "not stated"],
        ["Recipe", str(card.recipe.get("title") or card.name)],
        ["Input", str(card.geometry)],
        ["Classes", ", ".join(name + (" (means pneumonia)" if name in card.positive else "") for name in card.classes)],
        *_operating_points(card),
        ["Trained on", f"{data.source or 'source not stated'}; data set {data.digest}; split by {data.split_by}"],
        ["Terms", _terms(data.license, data.terms)],
        ["Validation figures", _inline(card.figures.get("validation", {}))],
        ["Versions", ", ".join(f"{name} {version}" for name, version in card.versions.items())],
        *(["Made of", f"{parent.title}, made {parent.made}, {parent.digest}"] for parent in card.parents),
    ]
    judged_on = [
        ["Manifest", f"{judged.manifest_name}, data set {judged.manifest.digest}"],
        ["Split", judged.split],
        ["Sources", ", ".join(sorted({value or "not stated" for value in judged.columns["source"]}))],
    ]
    films = [Table("The films judged here", ["What", "Value"], judged_on, numbers=False)]
    if counts:
        films.append(Table("Films it learned from", ["Split", *labels, "Patients"], counts))
    model = Table("The model", ["What", "Stated in the bundle"], facts, numbers=False)
    return Section("provenance", "Where model and films come from", [Beside([[model], films])])


def _operating_points(card: Card) -> list[list[str]]:
    each = {"Operating points": card.operating_points} if not card.groups else {}
    each |= {f"Operating points for {WHOSE[group.name]}": group.operating_points for group in card.groups}
    return [[name, "; ".join(f"{p.name} {p.threshold:.4f}: {p.rule}" for p in points)] for name, points in each.items()]


def _terms(license: str, terms: str) -> str:
    return terms if terms.startswith(license) and terms else "; ".join(filter(None, (license, terms))) or "not stated"


def _inline(figures: dict[str, float]) -> str:
    known_as = {"auc": "AUC", "brier": "Brier score", "loss": "log loss"}
    return (
        ", ".join(f"{known_as.get(name, name.replace('_', ' '))} {value:.4g}" for name, value in figures.items())
        or "not stated"
    )


def reproduction(judged: Judgement, command: str) -> Section:
    """The command that makes the same report again."""
    return Section(
        "reproduce",
        "How to reproduce",
        [
            Code(command),
            Text(
                f"By hilum {__version__} with its extra `evaluate`. predictions.csv holds what the model "
                "said of each film and metrics.json every figure. The same "
                "bundle, films, seed and version of hilum give the same figures."
            ),
        ],
    )


def limits(judged: Judgement) -> Section:
    """What the model is meant for, and what it is not."""
    card = judged.card
    intended = [Text("Research use only, not a medical device.", "caution")]
    intended += [Text(text) for text in (card.intended_use, *card.limits) if text]
    notes = [Text(text) for text in card.notes if text]
    blocks: list[Block] = [Beside([intended, notes])] if notes else list(intended)
    return Section("limits", "Intended use and limits", blocks)
