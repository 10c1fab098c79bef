"""What came of all films, read from the parts: it costs no more memory for a million films than for ten."""

from __future__ import annotations

import heapq
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass

import polars as pl

from hilum.scale.errors import ScaleError
from hilum.scale.parts import SLOWEST, about_part, part_paths
from hilum.scale.plan import Plan
from hilum.system.files import write_whole
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

    @property
    def failed(self) -> int:
        """Films without an answer."""
        return sum(self.errors.values())


def summarize(plan: Plan) -> Summary:
    """Read every part, and put the summary beside them. Raises ScaleError where a part is damaged."""
    paths = sorted(part_paths(plan.results))
    try:
        rows = pl.scan_parquet(paths)
        reason = pl.col(ERROR).str.split(":").list.first()
        counts = rows.group_by("decision", "gate_reason", reason.alias(ERROR)).len().collect(engine="streaming").rows()
        slowest = heapq.nlargest(SLOWEST, ((*film,) for path in paths for film in about_part(path)["slowest"]))
    except pl.exceptions.PolarsError as error:
        raise ScaleError(f"{plan.results}: a part is damaged, {error}; remove it, and give the same command") from None
    summary = Summary(
        films=sum(row[-1] for row in counts),
        decisions=_sums((decision, count) for decision, _, error, count in counts if error is None),
        abstentions=_sums((why, count) for decision, why, _, count in counts if decision == "abstain"),
        errors=_sums((error, count) for _, _, error, count in counts if error is not None),
        slowest=[(seconds, uri, member) for seconds, uri, member in slowest],
    )
    write_whole(plan.results / "summary.json", json_text(asdict(summary), indent=1) + "\n")
    return summary


def _sums(counts: Iterable[tuple[str, int]]) -> dict[str, int]:
    """The most frequent first."""
    sums: Counter[str] = Counter()
    for name, count in counts:
        sums[name] += count
    return dict(sums.most_common())
