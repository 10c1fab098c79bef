"""What is wrong with a data set, found before anyone trains on it.

Each check is a function from the films to findings, in the file of its family. To add one, write it and name it here.
"""

from __future__ import annotations

from collections.abc import Callable

from hilum.dataset.audit.boxes import find_bad_boxes, find_missing_boxes
from hilum.dataset.audit.duplicates import (
    find_conflicting_boxes,
    find_conflicting_labels,
    find_duplicates,
    find_shared_films,
)
from hilum.dataset.audit.films import AuditedFilms, OnProgress, gather
from hilum.dataset.audit.finding import SEVERITIES, AuditReport, Finding
from hilum.dataset.audit.leakage import find_leaks, find_repeated_numbers, find_small_validation
from hilum.dataset.audit.quality import find_bad_exposure, find_turned, find_unusual
from hilum.dataset.audit.readable import find_unknown_patients, find_unreadable
from hilum.dataset.audit.shortcut import find_shortcuts
from hilum.dataset.manifest.manifest import Manifest, ManifestError
from hilum.dataset.store.store import Store

__all__ = ["AuditReport", "AuditedFilms", "Finding", "audit", "gather"]

CHECKS: tuple[Callable[[AuditedFilms], list[Finding]], ...] = (
    find_unreadable,
    find_unknown_patients,
    find_leaks,
    find_repeated_numbers,
    find_small_validation,
    find_duplicates,
    find_conflicting_labels,
    find_conflicting_boxes,
    find_shared_films,
    find_shortcuts,
    find_bad_boxes,
    find_missing_boxes,
    find_bad_exposure,
    find_turned,
    find_unusual,
)


def audit(manifest: Manifest, store: Store, on_progress: OnProgress | None = None) -> tuple[AuditReport, AuditedFilms]:
    """Every check on every film. `on_progress` is told the step, how much of it is done, and of how much."""
    if manifest.table["file_digest"].null_count() == manifest.table.height:
        raise ManifestError("none of the films was ever scanned; make the manifest with `hilum data import`")
    films = gather(manifest, store, on_progress or (lambda step, done, total: None))
    findings = [finding for check in CHECKS for finding in check(films)]
    findings.sort(key=lambda finding: SEVERITIES.index(finding.severity))  # stable: in the order of CHECKS otherwise
    return AuditReport(manifest.digest, films.table.height, films.table["patient"].n_unique(), tuple(findings)), films
