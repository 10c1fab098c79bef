"""What came of setting films against a baseline, in sentences and rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hilum.bundle.drift.baseline import TOGETHER, WHOSE, Kind
from hilum.bundle.drift.comparison import GroupComparison, TraitShift
from hilum.bundle.drift.monitor import FALSE_ALARM_EVERY, Alarm, Monitor
from hilum.evaluation.drift.drift import Drift, of_which_kind
from hilum.radiograph.patient import PATIENTS

HEADER = ("What", "Usual", "Here", "Apart", "p")
NAMED = 4  # traits in a sentence
PLACELESS = {"table", "folder", "own films"}
# What differs where the network sees no difference.
OUTSIDE = {
    frozenset({"stored"}): "how they were stored",
    frozenset({"gray levels"}): "their gray levels",
    frozenset({"stored", "gray levels"}): "how they were stored and their gray levels",
}
AT_ODDS = "A set of films of the same kind gives an alarm in at most one of twenty cases."


def answer(made: Drift) -> str:
    """Whether films are of another kind and by what, in a few sentences."""
    sentences = [_of_group(group) for group in made.comparison.groups]
    if made.comparison.strangers.alarms:
        sentences.insert(0, _of_strangers(made))
    return " ".join(sentences)


def _of_strangers(made: Drift) -> str:
    strangers = made.comparison.strangers
    whose = " or ".join(WHOSE[patient] for patient in PATIENTS if patient not in made.baseline.patients)
    return (
        f"The network takes {strangers.films:,} of {len(made.judged.paths):,} films for films of {whose}; of those "
        f"that the model knows it is {strangers.usual:.1%}."
    )


def _of_group(group: GroupComparison) -> str:
    whose = "films" if group.patient is None else f"films of {WHOSE[group.patient]}"
    against = f"the {known(group.kind)} that the model knows"
    alarming = [shift for shift in group.shifts if shift.alarms]
    if not alarming:
        return f"No sign that these {group.films:,} {whose} are of another kind than {against}."
    of = {of_which_kind(shift) for shift in alarming}
    how = "" if "seen" in of else f", in {OUTSIDE[frozenset(of)]} alone, for the network sees nothing else in them"
    named = ", ".join(f"{shift.trait} ({shift.apart:.0%} apart)" for shift in alarming[:NAMED])
    more = f" and {len(alarming) - NAMED} more" if len(alarming) > NAMED else ""
    return f"These {group.films:,} {whose} are of another kind than {against}{how}: {named}{more}."


def known(kind: Kind) -> str:
    """How many films of which place the model knows; a table or a folder of one's own is none."""
    if kind.source == TOGETHER:
        return f"{kind.films:,} films of all sources"
    return f"{kind.films:,} films" if kind.source in PLACELESS else f"{kind.films:,} films of {kind.source}"


def rows(shifts: Sequence[TraitShift]) -> Iterator[tuple[str, ...]]:
    """A table's, the surest first."""
    for shift in shifts:
        usual = "" if shift.usual is None else f"{shift.usual:.2f}"
        here = (shift.value or "") if shift.median is None else f"{shift.median:.2f}"
        yield shift.trait, usual, here, f"{shift.apart:.0%}", p_value(shift.p)


def p_value(p: float) -> str:
    """No smaller than what so many draws, corrected for so many traits, can tell."""
    return "< 0.005" if p < 0.005 else f"{p:.3f}"


def of_watch(monitor: Monitor, raised: Alarm | None) -> str:
    """How a watch stands."""
    seen = f"{monitor.films:,} films since the watch began"
    if monitor.alarm is None:
        return f"{seen}, no alarm (without a reason one comes at most once in {FALSE_ALARM_EVERY:,} films on average)"
    before = "" if raised is not None else " (given before)"
    return f"{seen}: {monitor.alarm.in_words()}{before}; see to it, then move the state away to start anew"
