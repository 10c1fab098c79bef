"""A checklist of a journal: what each item asks for, what hilum knows of it, and what is left to the authors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from hilum.evaluation.report.document import Table
from hilum.evaluation.report.words import NOTHING

YOURS = "Yours to write"


class Item(NamedTuple):
    """What one item asks for, in few words; `known` are the facts that answer it, `yours` is what they leave open, and
    `otherwise` what to do where there are none."""

    number: str
    asks: str
    known: tuple[str, ...] = ()
    yours: str = ""
    otherwise: str = "not known to hilum"


class Fact(NamedTuple):
    """Something that hilum knows, and where it stands."""

    text: str
    where: str


class Checklist(NamedTuple):
    """`source` is where the official wording is."""

    name: str
    source: str
    items: Sequence[Item]


def filled(checklist: Checklist, facts: Mapping[str, Fact]) -> Table:
    """Each item with what hilum knows and where that stands, and what is left to write."""
    rows = []
    for item in checklist.items:
        there = [facts[name] for name in item.known if name in facts]
        known = " ".join([*(fact.text for fact in there), _places(there)]) if there else NOTHING
        left = item.yours or ("" if there else item.otherwise)
        rows.append([f"{item.number} {item.asks}", known, f"{YOURS}: {left}." if left else NOTHING])
    return Table(f"{checklist.name} ({checklist.source})", ["Item", "From hilum", "Left"], rows, numbers=False)


def _places(facts: Sequence[Fact]) -> str:
    return f"(See {'; '.join(dict.fromkeys(fact.where for fact in facts))}.)"


def counts(table: Table) -> tuple[int, int, int]:
    """How many items hilum answers whole, in part, and not at all."""
    whole = sum(row[2] == NOTHING for row in table.rows)
    none = sum(row[1] == NOTHING for row in table.rows)
    return whole, len(table.rows) - whole - none, none
