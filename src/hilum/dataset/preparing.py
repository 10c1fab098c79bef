"""A plain folder of films on its way to training: imported, audited, unreadable films left out, split by patient."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import polars as pl

from hilum.dataset.audit import audit
from hilum.dataset.audit.finding import Finding
from hilum.dataset.audit.report import LINKED
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, ManifestError, save_manifest
from hilum.dataset.split import split_by_patient
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry

OnNotice = Callable[[str], None]
OnProgress = Callable[[str, int, int], None]

# What the recipe default looks at, too: its training finds the films decoded.
AUDITED_AT = Geometry("squash", 224, 224)


def manifest_at(path: Path, on_notice: OnNotice, on_progress: OnProgress) -> Path:
    """The manifest at this path; a folder without one gets it, and what was decided on the way goes to `on_notice`."""
    if not path.exists():
        raise ManifestError(f"{path}: there is no such manifest or folder")
    if not path.is_dir():
        return path
    made = path / "manifest.parquet"
    if made.is_file():
        on_notice(f"data: {made}, made earlier")
        return made
    imported, notices, kind = import_folder(path, on_progress=lambda done, of: on_progress("reading films", done, of))
    findings = _audited(imported, on_progress)
    readable = Manifest(imported.table.filter(pl.col("error").is_null()), imported.folder)
    manifest, decided = split_by_patient(readable, together=_together(readable, findings))
    save_manifest(manifest, made)
    on_notice(f"data: read as {kind}, written to {made}")
    for finding in findings:
        if finding.severity in ("leak", "warning"):
            on_notice(f"audit: {finding.sentence} {finding.advice}")
    for notice in (*notices, *decided):
        on_notice(f"note: {notice}")
    on_notice(f"note: `hilum data audit {made} --html audit.html` shows the films that were found")
    return made


def _audited(manifest: Manifest, on_progress: OnProgress) -> tuple[Finding, ...]:
    def decoded(done: int, total: int) -> None:
        on_progress("decoding films for the audit", done, total)

    store = build_store(manifest, AUDITED_AT, skip_bad=len(manifest.table), on_progress=decoded)
    return audit(manifest, store, on_progress)[0].findings


def _together(manifest: Manifest, findings: Sequence[Finding]) -> list[list[str]]:
    """The groups of films that the audit found to belong together, as far as the manifest has them."""
    here = set(manifest.table["path"])
    groups = (group for finding in findings if finding.kind in LINKED for group in finding.groups)
    return [kept for group in groups if (kept := [path for path in group if path in here])]
