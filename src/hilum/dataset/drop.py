"""Films that an audit found are taken out of a manifest, and what was taken out is written down."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from hilum.dataset.audit.report import load_groups
from hilum.dataset.manifest.manifest import Manifest
from hilum.system.files import write_whole
from hilum.system.rows import csv_text

# Of a group of copies one film stays; of any other finding none does.
COPIES = frozenset({"exact_duplicates", "near_duplicates"})
RECORD = ("path", "label", "split", "finding", "kept")


class DropError(ValueError):
    """Findings that cannot be taken out; one line with what to do."""


class Dropped(NamedTuple):
    """A film taken out, because of which finding, and which copy of it stays."""

    path: str
    finding: str
    kept: str


def drop_findings(manifest: Manifest, report: Path, kinds: Sequence[str]) -> tuple[Manifest, list[Dropped]]:
    """The manifest without the films of these findings of an audit report (the JSON of `hilum data audit`)."""
    groups = _groups(manifest, report, kinds)
    dropped: dict[str, Dropped] = {}
    ranks = _ranks(manifest.table)
    for kind, members in groups:
        staying = [path for path in members if path not in dropped]
        kept = min(staying, key=ranks.__getitem__, default="") if kind in COPIES else ""
        for path in staying:
            if path != kept:
                dropped[path] = Dropped(path, kind, kept)
    table = manifest.table.filter(~pl.col("path").is_in(list(dropped)))
    return Manifest(table, manifest.folder), sorted(dropped.values())


def write_record(manifest: Manifest, dropped: Sequence[Dropped], path: Path) -> None:
    """Add the films taken out to a CSV, which keeps those of earlier times."""
    of_film = {path: rest for path, *rest in manifest.table.select("path", "label", "split").iter_rows()}
    former = path.read_bytes() if path.exists() else csv_text([RECORD]).encode()
    added = csv_text((film.path, *of_film[film.path], film.finding, film.kept) for film in dropped)
    write_whole(path, former + added.encode())


def _groups(manifest: Manifest, report: Path, kinds: Sequence[str]) -> list[tuple[str, list[str]]]:
    findings = load_groups(manifest, report)
    if missing := [kind for kind in kinds if kind not in findings]:
        offered = ", ".join(f"{kind} ({len(groups):,})" for kind, groups in findings.items())
        raise DropError(f"{report}: found no {', '.join(missing)}; it has {offered or 'nothing that names films'}")
    # Copies last: of a group whose other films go for another reason, the remaining one stays.
    ordered = sorted(set(kinds), key=lambda kind: (kind in COPIES, kind))
    return [(kind, group) for kind in ordered for group in findings[kind]]


def _ranks(table: pl.DataFrame) -> dict[str, tuple[int, bool, bool, str]]:
    """Which copy stays: the one in the test split, then in validation; the one with boxes, with a label."""
    order = {"test": 0, "val": 1}
    columns = ("path", "split", "official_split", "boxes", "label")
    return {
        path: (order.get(split or official or "", 2), not boxes, label is None, path)
        for path, split, official, boxes, label in table.select(columns).iter_rows()
    }
