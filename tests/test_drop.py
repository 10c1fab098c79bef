"""Audit findings are taken out of a manifest: copies but one, everything else whole, and it is written down."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from hilum.dataset.audit.report import ReportError
from hilum.dataset.drop import DropError, drop_findings, write_record
from hilum.dataset.manifest.manifest import SCHEMA, Manifest


@pytest.fixture
def manifest() -> Manifest:
    rows = [
        {"path": f"{name}.png", "patient": name, "label": "normal", "split": split, "boxes": boxes}
        for name, split, boxes in (
            ("a", "train", None),
            ("b", "test", None),
            ("c", "train", None),
            ("d", "train", [[0.1, 0.1, 0.2, 0.2]]),
            ("e", "train", None),
        )
    ]
    return Manifest(pl.DataFrame(rows, schema=SCHEMA, orient="row"), Path())


def report(manifest: Manifest, folder: Path, **findings: list[list[str]]) -> Path:
    told: list[dict[str, Any]] = [{"kind": kind, "groups": groups} for kind, groups in findings.items()]
    path = folder / "audit.json"
    path.write_text(json.dumps({"digest": manifest.digest, "findings": told}))
    return path


def paths(manifest: Manifest) -> str:
    return "".join(path[0] for path in manifest.table["path"])


def test_of_copies_the_test_film_stays_then_the_one_with_boxes(manifest: Manifest, tmp_path: Path) -> None:
    audit = report(manifest, tmp_path, exact_duplicates=[["a.png", "b.png"], ["c.png", "d.png"]])
    made, dropped = drop_findings(manifest, audit, ["exact_duplicates"])
    assert paths(made) == "bde"
    assert [(film.path, film.kept) for film in dropped] == [("a.png", "b.png"), ("c.png", "d.png")]


def test_of_other_findings_every_film_goes(manifest: Manifest, tmp_path: Path) -> None:
    audit = report(manifest, tmp_path, conflicting_labels=[["a.png", "b.png"]], unreadable=[["e.png"]])
    made, _ = drop_findings(manifest, audit, ["conflicting_labels", "unreadable"])
    assert paths(made) == "cd"


def test_a_copy_stays_when_the_others_go_for_another_reason(manifest: Manifest, tmp_path: Path) -> None:
    audit = report(manifest, tmp_path, exact_duplicates=[["a.png", "b.png"]], unreadable=[["b.png"]])
    made, _ = drop_findings(manifest, audit, ["exact_duplicates", "unreadable"])
    assert paths(made) == "acde"


def test_the_record_says_what_went_and_why_and_is_kept(manifest: Manifest, tmp_path: Path) -> None:
    audit = report(manifest, tmp_path, exact_duplicates=[["a.png", "b.png"]])
    _, dropped = drop_findings(manifest, audit, ["exact_duplicates"])
    record = tmp_path / "manifest.dropped.csv"
    write_record(manifest, dropped, record)
    write_record(manifest, dropped, record)
    with record.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert (
        rows
        == [{"path": "a.png", "label": "normal", "split": "train", "finding": "exact_duplicates", "kept": "b.png"}] * 2
    )


def test_an_audit_of_another_state_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    audit = report(manifest, tmp_path, exact_duplicates=[["a.png", "b.png"]])
    changed = Manifest(manifest.table.with_columns(label=pl.lit("viral")), manifest.folder)
    with pytest.raises(ReportError, match="another state"):
        drop_findings(changed, audit, ["exact_duplicates"])


def test_an_unknown_finding_lists_those_there_are(manifest: Manifest, tmp_path: Path) -> None:
    audit = report(manifest, tmp_path, unreadable=[["e.png"]], near_duplicates=[])
    with pytest.raises(DropError, match=r"found no duplicates; it has unreadable \(1\)$"):
        drop_findings(manifest, audit, ["duplicates"])


@pytest.mark.parametrize("content", ["", "[]", '{"findings": 3}', '{"digest": "x"}'])
def test_a_file_that_is_no_audit_says_how_to_make_one(manifest: Manifest, tmp_path: Path, content: str) -> None:
    (tmp_path / "audit.json").write_text(content)
    with pytest.raises(ReportError, match="hilum data audit"):
        drop_findings(manifest, tmp_path / "audit.json", ["unreadable"])
