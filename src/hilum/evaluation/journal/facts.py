"""What hilum knows of a study, in sentences: from the bundle's card, the manifest, and the films that were judged.

A fact that is not known is absent. Nothing here is guessed, and nothing says more than what stands at its place.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hilum import __version__
from hilum.bundle.card import Card
from hilum.dataset.audit.finding import counted
from hilum.evaluation.journal.checklist import Fact
from hilum.evaluation.journal.flow import flow
from hilum.evaluation.journal.flow_plot import flow_in_words
from hilum.evaluation.measure import Evaluation
from hilum.evaluation.report import first_screen
from hilum.evaluation.report.words import (
    interval,
    number,
    of_what,
    percent,
    threshold_in_words,
    value,
    with_interval,
)
from hilum.evaluation.robustness.robustness import Robustness
from hilum.evaluation.robustness.section import answer as robustness_in_words
from hilum.measures.figure import Figure

CARD = "the bundle's card"
MANIFEST = "the manifest"
TOP, END = "the report's first screen", "“How to reproduce”"
FLOW, WHO = "“Flow of films and patients”", "the table “Who is in which split”"
DECISIONS, PARTS, ORIGIN = (
    "“Decisions at the operating point”",
    "“Parts of the films”",
    "“Where model and films come from”",
)
LIMITS, ABSTENTIONS = "“Intended use and limits”", "“Abstentions”"
SPLIT_BY = {
    "patient": "By patient: no patient is in both training and validation.",
    "image": "By image: some patients are in both training and validation.",
    "unknown": "Not known: nothing tells which films of training are of one patient.",
}


def facts(evaluation: Evaluation, command: str, robustness: Robustness | None) -> dict[str, Fact]:
    """By name, as the checklists ask for them."""
    known: dict[str, Fact] = {}
    for part in (_of_films(evaluation), _of_model(evaluation), _of_figures(evaluation, command)):
        known |= {name: Fact(text, where) for name, text, where in part if text}
    if robustness is not None:
        known["robustness"] = Fact(robustness_in_words(robustness), "“Robustness”")
    return known


Stated = Iterator[tuple[str, str, str]]


def _of_films(evaluation: Evaluation) -> Stated:
    judged = evaluation.judgement
    card, data, went = judged.card, judged.card.data, flow(judged)
    table = judged.films
    sources = sorted({source or "not stated" for source in judged.columns["source"]})
    learned = f"Trained and validated on {data.source}; judged on {', '.join(sources)} ({judged.manifest_name})."
    yield "sources", learned if data.source else f"Judged on {', '.join(sources)} ({judged.manifest_name}).", ORIGIN
    yield "terms", f"Terms of the training films: {data.terms}" if data.terms else "", CARD
    left = f"{went.without_label.films:,} without a usable label, {sum(went.unreadable.values()):,} not readable"
    yield "left out", f"Of {counted(went.chosen.films, 'film')} left out: {left}.", FLOW
    split = "every film of the manifest" if judged.split == "all" else f"split {judged.split}"
    yield "subset", f"Judged is {split}: {counted(went.chosen.films, 'film')} of {went.found.films:,}.", FLOW
    yield (
        "anonymous",
        "Patients are numbers of no meaning in every file of this report; films go by path and digest.",
        END,
    )
    missing = {name: table[name].null_count() for name in ("age", "sex", "view")}
    listed = ", ".join(f"{name} of {count:,}" for name, count in missing.items() if count)
    gaps = (
        f"Not known of the {counted(table.height, 'film')} judged: {listed}."
        if listed
        else "Age, sex and view are known of all films judged."
    )
    yield "missing", f"{gaps} Nothing was filled in; films without a label were left out.", WHO
    yield "acquisition", _acquisition(evaluation), MANIFEST
    labels = Counter(label or "none" for label in judged.predictions.labels)
    named = ", ".join(f"{label} {count:,}" for label, count in labels.most_common(8))
    yield "reference", f"The manifest's labels, by its column pneumonia or the model's classes: {named}.", MANIFEST
    boxed = sum(judged.true_boxes(row) is not None for row in range(table.height))
    yield "boxes known", f"Boxes are known of {boxed:,} of the {counted(table.height, 'film')} judged.", MANIFEST
    counts = "; ".join(
        f"{name} {counted(sum(by_label.values()), 'film')}"
        + (f" of {counted(data.patients[name], 'patient')}" if name in data.patients else "")
        for name, by_label in data.counts.items()
    )
    judged_on = f"Judged: {counted(len(judged.predictions), 'film')} of {counted(went.readable.patients, 'patient')}."
    yield "partitions", f"The model's own: {counts}. {judged_on}" if counts else judged_on, ORIGIN
    seen = "None of the films judged is known to the model by file or pixels."
    if judged.seen:
        seen = f"{sum(judged.seen.values()):,} of the films judged were among the model's own."
    yield "disjoint", f"{SPLIT_BY[data.split_by]} {seen}", ORIGIN
    apart = [text for text in judged.caveats if "same data set" in text]
    yield "same source", " ".join(apart), TOP
    yield (
        "other source",
        "" if apart else "No film judged is of a data set that the manifest says was trained on.",
        ORIGIN,
    )
    yield "flow", flow_in_words(went, judged.manifest_name, judged.split), FLOW
    yield "characteristics", "Ages, sexes, views, labels and sources of each split are a table.", WHO
    intended = [text for text in (card.intended_use,) if text]
    yield "use", " ".join(intended), LIMITS
    yield "limits", " ".join(card.limits), LIMITS


def _acquisition(evaluation: Evaluation) -> str:
    table = evaluation.judgement.films
    views = Counter(view or "not known" for view in evaluation.judgement.columns["view"])
    parts = [f"views {', '.join(f'{name} {count:,}' for name, count in views.most_common(6))}"]
    for column in ("encoding", "bits"):
        held = table[column].drop_nulls().unique().sort().to_list()
        if held:
            parts.append(f"{column} {', '.join(map(str, held[:6]))}")
    readings = evaluation.judgement.readings
    for name in ("width", "height"):
        sides = [getattr(reading, name) for reading in readings]
        parts.append(f"{name} {min(sides):,} to {max(sides):,} pixels")
    return f"Films judged: {'; '.join(parts)}."


def _of_model(evaluation: Evaluation) -> Stated:
    judged = evaluation.judgement
    card, recipe = judged.card, judged.card.recipe
    network = recipe.get("network", {})
    name = " and ".join(card.networks)
    yield "technology", f"Deep learning, {card.task}" + (f": {name}." if name else "."), CARD
    yield (
        "preprocessing",
        (
            "Films are turned upright; DICOM goes through modality LUT, window or VOI LUT, and inversion; the picture "
            f"from black to white is brought to {card.geometry}. What cannot be read is refused with a reason."
        ),
        ORIGIN,
    )
    classes = ", ".join(each + (" (means pneumonia)" if each in card.positive else "") for each in card.classes)
    yield "model", f"{name or card.name}; input {card.geometry}; classes {classes}; one ONNX graph.", ORIGIN
    yield "output", f"A probability of each class ({', '.join(card.classes)}), a decision, or an abstention.", CARD
    yield "predictors", "The pixels of one frontal film and nothing else.", CARD
    yield "no assessor", "The pixels are taken as they are; nobody interprets them.", CARD
    point = judged.point
    yield (
        "threshold",
        f"Operating point “{point.name}”, threshold {threshold_in_words(judged)}, fixed on validation: {point.rule}.",
        DECISIONS,
    )
    versions = ", ".join(f"{package} {version}" for package, version in card.versions.items())
    yield (
        "software",
        f"Made with {versions or 'versions not stated'}; judged with hilum {__version__} (Apache-2.0).",
        CARD,
    )
    yield "initialization", f"Weights before training: {network['weights']}." if network.get("weights") else "", CARD
    yield "training", _training(recipe), CARD
    yield "selection", _selection(card.figures.get("training", {}), recipe), CARD
    yield "ensembling", _ensembling(card), CARD
    loss = recipe.get("loss", {})
    weights = loss.get("class_weights", "")
    none = weights == "none"
    yield "imbalance", (f"Class weights: {'none' if none else weights}." if weights else ""), CARD
    validated = card.figures.get("validation", {})
    listed = ", ".join(f"{key.replace('_', ' ')} {figure:.4g}" for key, figure in validated.items())
    yield "validated", f"On validation: {listed}." if listed else "", ORIGIN
    yield "explained", _explained(evaluation), "“Errors to look at”, “Do heatmaps point to the boxes?”"
    if card.gate is not None:
        rejected = percent(card.gate.distance_false_rejection)
        yield (
            "gate",
            (
                "A gate turns away what is no upright frontal chest film, with a reason; of validation films it "
                f"rejects {rejected}. What cannot be read is refused."
            ),
            ABSTENTIONS,
        )
    yield "not updated", "The model was judged as it is: neither weights, calibration nor thresholds were changed.", END


def _ensembling(card: Card) -> str:
    if len(card.networks) < 2:
        return f"None: one network, {card.networks[0]}." if card.networks else ""
    boxes = " Their boxes are averaged by weighted box fusion." if card.boxes is not None else ""
    return (
        f"The mean of the calibrated probabilities of {len(card.networks)} networks ({', '.join(card.networks)}), each "
        f"counting the same.{boxes} A film is turned away where the gates of most turn it away."
    )


def _training(recipe: dict[str, Any]) -> str:
    stated = []
    for section, keys in (
        ("optimizer", ("name", "learning_rate", "weight_decay")),
        ("schedule", ("name",)),
        ("loss", ("name", "label_smoothing")),
        ("training", ("batch_size", "ema", "precision", "seed")),
    ):
        held = recipe.get(section, {})
        stated += [f"{section} {key.replace('_', ' ')} {held[key]}" for key in keys if key in held]
    epochs = [phase["epochs"] for phase in recipe.get("phases", []) if "epochs" in phase]
    if epochs:
        stated.append(f"epochs {' + '.join(map(str, epochs))}")
    return f"{'; '.join(stated)}. Every setting, augmentation among them, is in the card." if stated else ""


def _selection(kept: dict[str, float], recipe: dict[str, Any]) -> str:
    if "epoch" not in kept or "epochs" not in kept:
        return ""
    metric = recipe.get("selection", {}).get("metric")
    by = f" by {metric} on validation" if metric else ""
    return (
        f"Epoch {kept['epoch']:.0f} of {kept['epochs']:.0f} was kept{by}; nothing was chosen on the films judged here."
    )


def _explained(evaluation: Evaluation) -> str:
    heatmap, pointed = evaluation.judgement.card.heatmap, evaluation.pointed
    if heatmap.startswith("none"):
        return f"No heatmaps ({heatmap.removeprefix('none: ')})."
    text = f"Heatmaps: {heatmap}."
    if pointed is not None:
        text += (
            f" Their highest place lies in a true box on {of_what(pointed.hits)} films with boxes "
            f"({with_interval('recall', pointed.hits)}; chance {percent(pointed.area)})."
        )
    return text


def _of_figures(evaluation: Evaluation, command: str) -> Stated:
    judged, figures = evaluation.judgement, evaluation.all
    yield "headline", f"{first_screen.subtitle(judged)}. {first_screen.answer(evaluation)}", TOP
    doubts = len(first_screen.cautions(evaluation))
    yield "cautions", f"{counted(doubts, 'caution')} on these films." if doubts else "", "“Before you believe it”"
    yield (
        "performance",
        "; ".join(_figure(name, figures) for name in ("auroc", "sensitivity", "specificity")) + ".",
        TOP,
    )
    yield "diagnostic", "; ".join(_figure(name, figures) for name in ("ppv", "npv", "accuracy")) + ".", DECISIONS
    yield (
        "metrics",
        (
            "AUROC, average precision, sensitivity, specificity, PPV, NPV, accuracy, F1, MCC; calibration (slope, "
            "intercept, Brier score, log loss, ECE); decision curve; errors by coverage."
        ),
        "the report's sections",
    )
    yield (
        "statistics",
        (
            "95% intervals: shares by Wilson, beside it and for all else the bootstrap over patients "
            f"({evaluation.resamples:,} resamples, seed {evaluation.seed}); calibration slope by Wald; p-values "
            "of parts of the films corrected by Holm."
        ),
        DECISIONS,
    )
    yield "calibration", f"ECE by bins of equal count {number(evaluation.after.adaptive_ece)}.", "“Calibration”"
    yield "sample size", _sample_size(evaluation), "“How sure: sample size and precision”"
    yield (
        "parts",
        (f"Figures of parts of the films by {', '.join(evaluation.subgroups)}." if evaluation.subgroups else ""),
        PARTS,
    )
    sources = evaluation.subgroups.get("source", [])
    each = "; ".join(f"{group.name} {with_interval('auroc', group.figures['auroc'])}" for group in sources)
    yield "clusters", f"AUROC by source: {each}." if each else "All films are of one source.", PARTS
    yield "failures", _failures(evaluation), "“Failure analysis”"
    yield "technical", f"Made again by: {command}", END
    yield (
        "identity",
        (
            f"Bundle {judged.model.name}, {judged.card.name}; "
            f"data set {judged.manifest.digest} ({judged.manifest_name})."
        ),
        ORIGIN,
    )


def _figure(name: str, figures: dict[str, Figure]) -> str:
    known_as = {"auroc": "AUROC", "ppv": "PPV", "npv": "NPV"}.get(name, name)
    figure = figures[name]
    counts = f" of {of_what(figure)}" if figure.of is not None else ""
    if figure.value is None:
        return f"{known_as} {value(name, figure)}: {interval(name, figure)}"
    return f"{known_as} {value(name, figure)}{counts} (95% interval {interval(name, figure)})"


def _sample_size(evaluation: Evaluation) -> str:
    films = evaluation.judgement.predictions
    sick = int(films.truth.sum())
    widths = [
        f"{'AUROC' if each.name == 'auroc' else each.name} {number(each.width)}"
        for each in evaluation.reach
        if each.width is not None
    ]
    reached = f" Widths of 95% intervals: {', '.join(widths)}." if widths else ""
    return f"{counted(len(films), 'film')}, {sick:,} with pneumonia.{reached}"


def _failures(evaluation: Evaluation) -> str:
    found = evaluation.failures
    surely = [part for part in found.parts if part.corrected < 0.05 and part.excess.more > 0]
    listed = "; ".join(
        f"{part.words} ({part.errors:,} of {part.films:,}, {100 * part.excess.more:.0f} points more than the others)"
        for part in surely[:3]
    )
    looked = f"{found.errors:,} errors; {len(found.parts)} parts of the films looked at."
    return (
        f"{looked} More errors than by chance: {listed}."
        if listed
        else f"{looked} None has more errors than by chance."
    )
