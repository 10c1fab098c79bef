"""What local films changed, in words: rows and sentences for the terminal, and a small page with pictures."""

from __future__ import annotations

from collections.abc import Iterator

from hilum.dataset.audit.finding import counted
from hilum.evaluation.report import plots
from hilum.evaluation.report.document import Beside, Block, Document, Plots, Section, Table, Text
from hilum.evaluation.report.words import NOTHING, between, number, percent, with_interval
from hilum.export.local.fitting import Answers, Change
from hilum.export.local.gate_limit import FARTHEST, REJECTED
from hilum.export.local.outcome import WHOSE, Outcome, Part
from hilum.measures.films.calibration import Reliability, calibration
from hilum.measures.films.excess import worth
from hilum.measures.precision import films_for_width, width_of

HEADER = ("figure", "before", "after", "change")
NAMES = {"log_loss": "Log loss", "ece": "ECE", "sensitivity": "Sensitivity", "specificity": "Specificity"}
BETTER_LOW = ("log_loss", "ece")
NARROW = 0.1  # an interval that people call narrow enough


def summary(outcome: Outcome) -> Iterator[tuple[str, ...]]:
    """Every figure before and after, under HEADER."""
    for part in outcome.parts:
        whose = f", {WHOSE[part.patient]}" if part.patient else ""
        for name, *figures in _rows(part):
            yield f"{name}{whose}", *figures


def _rows(part: Part) -> Iterator[tuple[str, ...]]:
    for change in part.changes:
        at = f" at {change.point}" if change.point else ""
        yield (
            f"{NAMES[change.name]}{at}",
            with_interval(change.name, change.before),
            with_interval(change.name, change.after),
            _gain(change),
        )


def _gain(change: Change) -> str:
    if change.gain is None or change.after.value is None or change.before.value is None:
        return NOTHING
    gained, ends = change.after.value - change.before.value, between(change.name, change.gain)
    shown = number(gained) if change.name in BETTER_LOW else percent(gained)
    return f"{'+' * (gained > 0)}{shown} ({ends})".replace("-", "\N{MINUS SIGN}")


def sentences(outcome: Outcome) -> list[str]:
    """What was fitted, how sure that is, and what stayed as it was."""
    lines: list[str] = []
    for part in outcome.parts:
        lines += [_fitted(part), precision(part)]
    if outcome.kept:
        lines.append(kept_in_words(outcome))
    lines += [gate_in_words(outcome), drift_in_words(outcome)]
    if not outcome.wish.labeled:
        lines.append("without labels, calibration and thresholds stay as they were; label films to set them")
    if outcome.parent.boxes is not None and outcome.parts:
        lines.append("boxes and their scores are those of the bundle as it was")
    return lines


def kept_in_words(outcome: Outcome) -> str:
    """For whom calibration and thresholds stay, and why."""
    return f"calibration and thresholds stay as they were for {'; for '.join(outcome.kept)}"


def _fitted(part: Part) -> str:
    films, line = part.films, part.fit.line
    patients = len(set(films.patients.tolist()))
    whose = f" of {WHOSE[part.patient]}" if part.patient else ""
    points = ", ".join(f"{point.name} {point.threshold:.4f}" for point in part.fit.points)
    slope = "" if line.way == "offset" else f"{line.slope:.3f} times "
    sign = "less" if line.offset < 0 else "plus"
    return (
        f"fitted to {counted(len(films.truth), 'film')}{whose} of {counted(patients, 'patient')}, "
        f"{int(films.truth.sum()):,} with pneumonia: log odds become {slope}what they were {sign} "
        f"{abs(line.offset):.3f}; thresholds {points}"
    )


def precision(part: Part) -> str:
    """How sure sensitivity and specificity can be at these counts, and what would make them surer."""
    said = []
    for figure, sick, kind in (("sensitivity", True, "with pneumonia"), ("specificity", False, "without")):
        right = part.after.called["sensitive" if sick else "specific"] == sick
        of_kind = part.films.truth == sick
        share = float(right[of_kind].mean())
        alone = worth(right[of_kind], part.films.patients[of_kind])
        wide = width_of(share, alone)
        more = ""
        if wide > NARROW:
            more = f" ({films_for_width(share, NARROW):,} independent ones would make it {100 * NARROW:.0f})"
        said.append(
            f"a {figure} of {percent(share)} on {int(of_kind.sum()):,} films {kind} has an interval {100 * wide:.1f} "
            f"percentage points wide{more}"
        )
    return "precision: " + "; ".join(said)


def gate_in_words(outcome: Outcome) -> str:
    """What became of the gate's limit."""
    if (gate := outcome.gate) is None:
        return outcome.why_no_gate
    return (
        f"gate: limit {gate.limit:.3f} times what it was, which {REJECTED:.0%} of films like these exceed on average; "
        f"of {counted(gate.films, 'upright frontal film')} it turns away {percent(gate.turned_away_after)}, before "
        f"{percent(gate.turned_away_before)}"
        + (f"; a limit stays below {FARTHEST:g}, look at the films beyond it" if gate.limit >= FARTHEST else "")
    )


def drift_in_words(outcome: Outcome) -> str:
    """What became of the baseline of drift."""
    if outcome.drift is None:
        return outcome.why_no_drift
    films = sum(kind.films for kind in outcome.drift.kinds)
    return f"drift: later films are set against {counted(films, 'film')} of these, one of each patient"


def make_document(outcome: Outcome) -> Document:
    """The page: figures before and after, reliability diagrams, how sure, and from what."""
    seen, card = outcome.seen, outcome.parent
    sections = [_section(part) for part in outcome.parts]
    stayed = [Text(_sentence(kept_in_words(outcome)))] if outcome.kept else []
    gate: list[Block] = [
        *stayed,
        *(Text(_sentence(line)) for line in (gate_in_words(outcome), drift_in_words(outcome))),
    ]
    sections += [Section("gate", "The gate, and what stayed", gate), _provenance(outcome)]
    return Document(
        title=card.title or card.name,
        subtitle=f"calibrated to {counted(seen.films, 'film')} of {counted(len(set(seen.patients)), 'patient')} · "
        f"{seen.name}, split {seen.split}",
        stamp="",
        answer=_answer(outcome),
        tiles=[],
        cautions=[
            "Fitted to these films and judged on them by cross-validation over patients: each film by a fit that saw "
            "no film of its patient. Judge the bundle on films of later months before you rely on it."
        ]
        if outcome.parts
        else [],
        sections=sections,
    )


def _answer(outcome: Outcome) -> str:
    if not outcome.parts:
        return "The gate's limit and the baseline of drift alone: without labels nothing can be said of thresholds."
    parts = []
    for part in outcome.parts:
        loss, ece = part.changes[0], part.changes[1]
        whose = f"On films of {WHOSE[part.patient]}" if part.patient else "On these films"
        parts.append(
            f"{whose} log loss went from {number(loss.before.value or 0)} to {number(loss.after.value or 0)}, ECE from "
            f"{number(ece.before.value or 0)} to {number(ece.after.value or 0)}."
        )
    return " ".join(parts)


def _section(part: Part) -> Section:
    whose = f" of {WHOSE[part.patient]}" if part.patient else ""
    key = part.patient or "films"
    table = Table(
        f"{len(part.films.truth):,} films{whose}, {int(part.films.truth.sum()):,} with pneumonia (95% intervals)",
        [name.capitalize() for name in HEADER],
        [row for row in _rows(part)],
    )
    points = Table(
        "Operating points",
        ["Point", "Threshold before", "Threshold now", "Rule"],
        [[new.name, _threshold(part, new.name), f"{new.threshold:.4f}", new.rule] for new in part.fit.points],
        numbers=False,
    )
    hint = Text(
        "Figures after are of films left out: five times over, line and thresholds come from the films of other "
        "patients. Intervals of shares are Wilson's, with as many films as independent ones would be worth; all others "
        "are by the bootstrap over patients.",
        "hint",
    )
    before, after = (
        _diagram(part, answers, moment) for answers, moment in ((part.before, "before"), (part.after, "after"))
    )
    return Section(
        f"of-{key}",
        f"Before and after{f', films{whose}' if whose else ''}",
        [
            table,
            Text(_sentence(_fitted(part))),
            Text(_sentence(precision(part))),
            hint,
            Beside([[Plots([before])], [Plots([after])]]),
            points,
        ],
    )


def _threshold(part: Part, name: str) -> str:
    return next((f"{point.threshold:.4f}" for point in part.was if point.name == name), NOTHING)


def _diagram(part: Part, answers: Answers, moment: str) -> plots.Plot:
    made: Reliability = calibration(answers.probability, part.films.truth)
    groups = "; ".join(f"{percent(each.predicted)} predicted, {percent(each.observed)} observed" for each in made.bins)
    whose = f" of {WHOSE[part.patient]}" if part.patient else ""
    name = f"reliability-{part.patient or 'films'}-{moment}"
    says = f"Reliability diagram {moment} calibration{whose}. {groups}."
    return plots.reliability(made.bins, f"{moment}{f', films{whose}' if whose else ''}", says, name)


def _provenance(outcome: Outcome) -> Section:
    seen = outcome.seen
    rows = [
        ["Bundle that was calibrated", outcome.parent.title or outcome.parent.name],
        ["Its digest", outcome.digest],
        ["Manifest", f"{seen.name}, split {seen.split}"],
        ["Its digest", seen.manifest],
        ["Source", seen.source],
        [
            "Films",
            f"{seen.films:,} of {len(set(seen.patients)):,} patients; {outcome.turned_away:,} turned away by the gate",
        ],
        ["Films without a label", f"{seen.unlabeled:,}"],
        ["Seed", f"{outcome.wish.resampling.seed}"],
    ]
    table = Table("From what", ["What", "Which"], rows, numbers=False)
    return Section("provenance", "From what", [table, Text("Research use only: not a medical device.")])


def _sentence(line: str) -> str:
    return f"{line[0].upper()}{line[1:]}."
