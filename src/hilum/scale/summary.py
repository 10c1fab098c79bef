"""What came of all films, read from the parts: it costs no more memory for a million films than for ten."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import polars as pl

from hilum.bundle.card import Card
from hilum.bundle.drift.traits import Traits, joined
from hilum.evaluation.drift.drift import measure_drift
from hilum.evaluation.drift.judged import JudgedFilms
from hilum.evaluation.drift.words import answer as drift_in_words
from hilum.measures.figure import EvaluationError
from hilum.scale.errors import ScaleError
from hilum.scale.parts import SLOWEST, read_part
from hilum.scale.plan import Plan
from hilum.service.films.monitors import unpack_traits
from hilum.system.text import json_text

ERROR = "error"


@dataclass(frozen=True, slots=True)
class Summary:
    """How many films got which decision, why others got none, and which took the longest, with their seconds."""

    films: int
    decisions: dict[str, int]
    abstentions: dict[str, int]
    errors: dict[str, int]
    slowest: list[tuple[float, str, str | None]]
    drift: str | None  # in words, of a bundle that knows what its films were like

    @property
    def failed(self) -> int:
        """Films without an answer."""
        return sum(self.errors.values())


def summarize(plan: Plan, card: Card) -> Summary:
    """Read every part, and put the summary beside them. Raises ScaleError where a part is damaged."""
    reason = pl.col(ERROR).str.split(":").list.first()
    counted: Counter[tuple[Any, Any, Any]] = Counter()
    slowest: list[tuple[float, str, str | None]] = []
    traits: list[Traits] = []
    try:
        for name in sorted(plan.results.parts()):
            rows, about = read_part(plan.results, name, ["decision", "gate_reason", ERROR])
            for decision, why, error, count in (
                rows.group_by("decision", "gate_reason", reason.alias(ERROR)).len().rows()
            ):
                counted[decision, why, error] += count
            slowest = heapq.nlargest(SLOWEST, [*slowest, *map(tuple, about["slowest"])], key=lambda film: film[0])
            traits += _unpacked(about["traits"], card)
    except pl.exceptions.PolarsError as error:
        raise ScaleError(f"{plan.results}: a part is damaged, {error}; remove it, and give the same command") from None
    counts = [(*answer, count) for answer, count in counted.most_common()]
    summary = Summary(
        films=sum(row[-1] for row in counts),
        decisions=_sums((decision, count) for decision, _, error, count in counts if error is None),
        abstentions=_sums((why, count) for decision, why, _, count in counts if decision == "abstain"),
        errors=_sums((error, count) for _, _, error, count in counts if error is not None),
        slowest=slowest,
        drift=_drift(traits, plan, card),
    )
    plan.results.write("summary.json", json_text(asdict(summary), indent=1) + "\n")
    return summary


def _unpacked(packed: list[str], card: Card) -> list[Traits]:
    if card.drift is None:
        return []
    return [traits for each in packed if (traits := unpack_traits(each.encode(), card.drift)) is not None]


def _drift(traits: list[Traits], plan: Plan, card: Card) -> str | None:
    """Whether films are of the kind that the bundle was fitted to; None where it does not know, or of too few films."""
    if not traits:
        return None
    films = JudgedFilms(("",) * len(traits), joined(traits))
    try:
        return drift_in_words(
            measure_drift(
                card, plan.card.how.bundle, plan.card.how.model, plan.results.address.rpartition("/")[2], films
            )
        )
    except EvaluationError:
        return None


def _sums(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The most frequent first."""
    sums: Counter[str] = Counter()
    for name, count in counts:
        sums[name] += count
    return dict(sums.most_common())
