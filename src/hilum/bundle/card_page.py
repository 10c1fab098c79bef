"""A card as a person reads it: sections of text and tables, which the command line prints or writes as Markdown."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hilum.bundle.card import (
    BoxCard,
    Calibration,
    Card,
    GroupCard,
    LocalCard,
    LocalFit,
    OperatingPoint,
    ParentCard,
    TwoLungsCard,
)
from hilum.bundle.format import LATERAL, NO_TWO_LUNGS
from hilum.radiograph.patient import Patient

HEATMAPS = {
    "class activation map": "class activation map, exact: its mean over the places is the logit less a constant",
    "Grad-CAM": "Grad-CAM in closed form: maps weighted by the logit's mean gradient, negative places cut to 0",
    "class activation map and highest places of both views, joined": "the maps whose means are the joined scores, each "
    "times its weight: class activation maps of the whole film and of the lungs, and the highest places of their maps "
    "of opacities",
}
CALIBRATIONS = {
    "none": "none",
    "temperature": "temperature scaling",
    "platt": "Platt's sigmoid on the probability of pneumonia",
    "isotonic": "isotonic regression on the probability of pneumonia",
}
PATIENTS = {"child": "children", "adult": "adults"}
BOX_FIGURES = {
    "rsna_score": "RSNA score",
    "map_50": "mAP at 0.5",
    "sensitivity_at_1": "sensitivity at one false box a film",
}
FILMS = {"validation": "Validation", "out_of_fold": "Out of fold, each film by the parent that never saw it"}
PARENT = ("parent", "network", "input", "validation, its own", "made", "digest")
LOCAL_FIGURES = {"log_loss": "log loss", "ece": "calibration error"}
FIGURES = {"auc": "AUC", "brier": "Brier score", "loss": "log loss"}


JUDGED = "After is what a fit to films of other patients said of each; 95% intervals in brackets."


class CardSection(NamedTuple):
    """Rows of two are a name and what it is; more are a table with `header`. Lines are sentences."""

    title: str
    rows: Sequence[tuple[str, ...]] = ()
    header: tuple[str, ...] = ()
    lines: Sequence[str] = ()


def sections(card: Card, file_bytes: int, digest: str) -> Iterator[CardSection]:
    """All that a bundle says of itself, the most important first."""
    yield CardSection("Use", lines=[card.intended_use])
    yield CardSection("Limits", lines=card.limits)
    yield CardSection("Model", list(_model(card, file_bytes, digest)))
    header = ("operating point", "threshold", "sensitivity", "specificity", "rule")
    if not card.groups:
        title = f"Operating points, chosen and measured {_where(card, None)}"
        yield CardSection(title, list(_points(card, card.operating_points)), header)
    for group in card.groups:
        title = f"Operating points for {PATIENTS[group.name]}, chosen and measured {_where(card, group.name)}"
        yield CardSection(title, list(_points(card, group.operating_points)), header)
    if card.local is not None:
        yield CardSection("Local films", list(_local(card.local)))
        for fit in card.local.fits:
            title = f"Local films{_of(fit)}, before and after"
            yield CardSection(title, list(_changes(fit)), ("figure", "before", "after"), [JUDGED])
    if card.boxes is not None:
        yield CardSection("Boxes, settings chosen on validation", list(_boxes(card.boxes, len(card.networks) > 1)))
    for name, title in FILMS.items():
        if name in card.figures:
            yield CardSection(title, list(_validation(card.figures[name])))
    if card.calibration is not None:
        yield CardSection("Calibration", list(_calibration(card.calibration)))
    for group in card.groups:
        title = f"{PATIENTS[group.name].capitalize()}, fitted on validation"
        yield CardSection(title, [*_group(group, card), *_calibration(group.calibration)])
    yield CardSection("Gate", list(_gate(card)))
    yield CardSection("Drift", list(_drift(card)))
    yield CardSection("Data", list(_data(card)))
    if training := list(_training(card)):
        yield CardSection("Training", training)
    if card.parents:
        yield CardSection("Made of", [_parent(parent) for parent in card.parents], PARENT)
    yield CardSection("Versions", list(card.versions.items()))
    if card.notes:
        yield CardSection("Notes", lines=card.notes)


def as_markdown(card: Card, parts: Iterator[CardSection]) -> str:
    """The page that is published beside a bundle."""
    lines = [f"# {_cell(card.title)}", "", f"`{card.name}`"]
    for part in parts:
        lines += ["", f"## {part.title}", "", *(f"- {_cell(line)}" for line in part.lines)]
        if part.rows:
            header = part.header or ("", "")
            lines += [_row(header), _row(["---"] * len(header)), *map(_row, part.rows)]
    return "\n".join(lines) + "\n"


def _model(card: Card, file_bytes: int, digest: str) -> Iterator[tuple[str, str]]:
    yield "name", card.name
    yield "answers", ", ".join(f"{name} (positive)" if name in card.positive else name for name in card.classes)
    yield ("networks" if len(card.networks) > 1 else "network"), ", ".join(card.networks) or "unknown"
    yield "input", f"grey levels, {card.geometry}"
    yield "heatmaps", HEATMAPS.get(card.heatmap, card.heatmap)
    yield "file", f"{file_bytes / 1e6:.1f} MB, format {card.format}, made {card.made}"
    yield "digest", digest


def _boxes(boxes: BoxCard, fused: bool) -> Iterator[tuple[str, str]]:
    yield "drawn from", f"a score of {boxes.threshold:.2f}, at most {boxes.most} a film"
    if boxes.nms_overlap < 1:  # none is suppressed where each box was looked for by itself
        yield ("averaged if" if fused else "one box if"), f"two overlap by more than {boxes.nms_overlap:.2f}"
    if not fused:
        yield "size", f"sides multiplied by {boxes.shrinkage:.2f}"
    if boxes.prevalence is not None:
        yield "meant for", f"films of which {boxes.prevalence:.1%} have boxes"
    for name, value in boxes.figures.items():
        yield BOX_FIGURES.get(name, name.replace("_", " ")), _number(value)


def _validation(figures: Mapping[str, float]) -> Iterator[tuple[str, str]]:
    for name, value in figures.items():
        yield FIGURES.get(name, name.replace("_", " ")), _number(value)


def _points(card: Card, points: Sequence[OperatingPoint]) -> Iterator[tuple[str, ...]]:
    for point in points:
        yield (
            point.name + (" (default)" if point.name == card.default_point else ""),
            f"{point.threshold:.4f}",
            f"{point.sensitivity:.3f}",
            f"{point.specificity:.3f}",
            point.rule,
        )


def _where(card: Card, patient: Patient | None) -> str:
    """By which films the operating points were chosen."""
    if card.local is not None and any(fit.patient == patient for fit in card.local.fits):
        return "on local films"
    return "out of fold" if "out_of_fold" in card.figures else "on validation"


def _of(fit: LocalFit) -> str:
    return f" of {PATIENTS[fit.patient]}" if fit.patient else ""


def _local(local: LocalCard) -> Iterator[tuple[str, str]]:
    yield "films", f"{local.films:,} of {local.patients:,} patients; the gate turns {local.turned_away:,} of them away"
    yield "source", local.source
    yield "manifest", local.manifest
    yield "made", local.made
    for fit in local.fits:
        films, patients, with_pneumonia = (fit.films[name] for name in ("films", "patients", "with_pneumonia"))
        counts = f"{films:,} films{_of(fit)} of {patients:,} patients, {with_pneumonia:,} with pneumonia"
        yield "fitted", f"{fit.way} of the log odds, to {counts}"
    if not local.fits:
        yield "fitted", "no calibration and no threshold: the films had no labels"
    if local.gate:
        before, after = local.gate["turned_away_before"], local.gate["turned_away_after"]
        yield "gate", f"turns away {after:.1%} of {local.gate['films']:,.0f} upright frontal films, before {before:.1%}"


def _changes(fit: LocalFit) -> Iterator[tuple[str, ...]]:
    for name, after in fit.after.items():
        yield LOCAL_FIGURES.get(name, name), *(_with_ends(each) for each in (fit.before.get(name, []), after))


def _with_ends(figure: list[float]) -> str:
    """A value, and the ends of its interval where there is one."""
    if len(figure) < 3:
        return "".join(f"{value:.3f}" for value in figure)
    return f"{figure[0]:.3f} ({figure[1]:.3f} to {figure[2]:.3f})"


def _group(group: GroupCard, card: Card) -> Iterator[tuple[str, str]]:
    with_pneumonia, without, recognized = (group.films[name] for name in ("with_pneumonia", "without", "recognized"))
    films = with_pneumonia + without
    yield "films", f"{films:,}, {with_pneumonia:,} of them with pneumonia"
    if films:
        yield "recognized", f"{recognized / films:.1%} of them the network takes for a film of this group"
    if group.fitted_on_all:
        yield "fitted on", "films of every group, for there were too few of this one"
    if len(card.positive) > 1:
        kinds = " or ".join(card.positive)
        yield "kinds", f"{kinds} is answered" if group.tells_kinds else f"not known: {kinds} is answered as their sum"
    if (joining := group.joining) is not None:
        yield (
            "joined by",
            ", ".join(f"{name.replace('_', ' ')} {weight:.3g}" for name, weight in joining.weights.items()),
        )
        losses = ", ".join(f"{name} {loss:.4f}" for name, loss in joining.log_losses.items())
        yield "views", f"log loss on films left out of the fit: {losses}"


def _calibration(made: Calibration) -> Iterator[tuple[str, str]]:
    how = {
        "temperature": f", {made.temperature:.3f}",
        "platt": ", " + ", ".join(f"{value:.3f}" for value in made.x),
        "isotonic": f", {len(made.x)} knots",
    }
    line = ""
    if (made.slope, made.offset) != (1.0, 0.0):
        line = f"; then log odds times {made.slope:.3f} {made.offset:+.3f}"
    yield "method", CALIBRATIONS[made.method] + how.get(made.method, "") + line
    names = {"log_loss": "log loss", "ece": "calibration error", "brier": "Brier score"}
    for key, name in names.items():
        before, after = made.figures.get(f"{key}_before"), made.figures.get(f"{key}_after")
        if before is not None and after is not None:
            yield name, f"{before:.4f} before, {after:.4f} after (on films left out of the fit)"


def _gate(card: Card) -> Iterator[tuple[str, str]]:
    if card.gate is None:
        yield "none", "every picture is answered"
        return
    yield (
        "turned away",
        f"what is unlike the training films; {card.gate.distance_false_rejection:.1%} of {_gate_films(card)} is",
    )
    lateral = ", lateral" if LATERAL in card.gate.states else ""
    yield (
        "also",
        f"what is turned, inverted{lateral} or no chest film with a probability above {card.gate.turned_limit:.2f}",
    )
    if NO_TWO_LUNGS in card.gate.states:
        yield "two lungs", _two_lungs(card.gate.two_lungs)
    yield "learned from", f"{card.gate.films:,} films"
    if card.gate.limit != 1:
        yield "limit", f"{card.gate.limit:.3f} times that which was learned with the network"
    if card.gate.note:
        yield "note", card.gate.note


def _two_lungs(asked: TwoLungsCard | None) -> str:
    if asked is None:
        return "also a film that shows no two of them, by the limits of its parents"
    shares = asked.turned_away
    return (
        f"also a film whose left or right half is lung to less than {asked.limit:.1%}; of validation films "
        f"{shares['pneumonia']:.1%} with pneumonia and {shares['others']:.1%} of the others"
    )


def _drift(card: Card) -> Iterator[tuple[str, str]]:
    if card.drift is None:
        yield "baseline", "none: `hilum drift` cannot be used with this bundle"
        return
    kinds = "; ".join(f"{kind.name} ({kind.films:,})" for kind in card.drift.kinds)
    yield "baseline", f"how films looked, each of another patient: {kinds}"
    axes = len(card.drift.axes.scale)
    yield "features", f"read along {axes} axes, found on {card.drift.axes.films:,} training films"


def _gate_films(card: Card) -> str:
    return "local films" if card.local is not None and card.local.gate else "validation"


def _data(card: Card) -> Iterator[tuple[str, str]]:
    data = card.data
    yield "source", data.source
    yield "license", data.license
    yield "terms", data.terms
    for split, counts in data.counts.items():
        listed = ", ".join(f"{count:,} {label}" for label, count in counts.items())
        patients = f" of {data.patients[split]:,} patients" if split in data.patients else ""
        yield split, f"{sum(counts.values()):,} films{patients} ({listed})"
    splits = {
        "patient": "no patient is in both",
        "image": "some patients are in both: figures flatter",
        "unknown": "nothing tells which films are of one patient",
    }
    yield "split by", f"{data.split_by}; {splits[data.split_by]}"
    yield "manifest", data.digest


def _parent(parent: ParentCard) -> tuple[str, ...]:
    validated = parent.figures.get("validation", {})
    shown = ", ".join(f"{FIGURES[name]} {_number(validated[name])}" for name in FIGURES if name in validated)
    return parent.title, ", ".join(parent.networks), str(parent.geometry), shown, parent.made, parent.digest


def _training(card: Card) -> Iterator[tuple[str, str]]:
    recipe: Mapping[str, Any] = card.recipe
    for section, keys in (
        ("network", ("weights", "head", "dropout")),
        ("optimizer", ("name", "learning_rate", "weight_decay")),
        ("schedule", ("name",)),
        ("loss", ("name", "class_weights", "label_smoothing")),
        ("training", ("batch_size", "ema", "precision", "seed")),
    ):
        held = recipe.get(section, {})
        stated = ", ".join(f"{key.replace('_', ' ')} {held[key]}" for key in keys if key in held)
        if stated:
            yield section, stated
    kept = card.figures.get("training", {})
    if "epoch" in kept:
        yield "kept", f"epoch {kept['epoch']:.0f} of {kept['epochs']:.0f}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if value == int(value) and abs(value) > 1 else f"{value:.4f}"


def _row(cells: tuple[str, ...] | list[str]) -> str:
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
