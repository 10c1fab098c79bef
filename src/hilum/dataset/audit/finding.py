"""What the audit says: findings, each with its number, the films it is about and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

# A leak makes figures flatter than they are. A note says what was measured and found in order, or not measured.
Severity = Literal["leak", "warning", "suggestion", "note"]
SEVERITIES: tuple[Severity, ...] = ("leak", "warning", "suggestion", "note")


@dataclass(frozen=True, slots=True)
class Finding:
    """One kind of trouble in a data set. `groups` are films that belong together, or single films, by their paths."""

    kind: str
    severity: Severity
    count: int
    sentence: str
    advice: str = ""
    groups: tuple[tuple[str, ...], ...] = ()
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """All findings on one data set, the gravest first."""

    digest: str
    films: int
    patients: int
    findings: tuple[Finding, ...]

    @property
    def leaks(self) -> bool:
        """Whether anything makes figures flatter than they are."""
        return any(finding.severity == "leak" for finding in self.findings)

    def describe(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {**asdict(self), "leaks": self.leaks}


def counted(count: int, thing: str, things: str = "") -> str:
    """'1 film', '2 films'."""
    return f"{count:,} {thing if count == 1 else things or thing + 's'}"


def named(paths: Sequence[str], groups: Sequence[Sequence[int]]) -> tuple[tuple[str, ...], ...]:
    """Groups of rows as groups of paths, in an order of their own."""
    return tuple(sorted(tuple(sorted(paths[row] for row in group)) for group in groups))
