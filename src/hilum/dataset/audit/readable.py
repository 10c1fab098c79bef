"""Films that cannot be read, and whether patients can be told apart at all."""

from __future__ import annotations

import numpy as np

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.finding import Finding, counted, named


def find_unreadable(films: AuditedFilms) -> list[Finding]:
    """Films that cannot be read, each with its reason."""
    rows = np.flatnonzero(films.picture < 0).tolist()
    if not rows:
        return []
    digests, errors = films.table["file_digest"].to_list(), films.table["error"].to_list()
    reasons = {
        films.paths[row]: errors[row] or films.store.skipped.get(digests[row] or "") or "never scanned; import it again"
        for row in rows
    }
    return [
        Finding(
            "unreadable",
            "warning",
            len(rows),
            f"{counted(len(rows), 'film')} cannot be read.",
            "Get them again from their source, or drop them.",
            named(films.paths, [[row] for row in rows]),
            {"reasons": reasons},
        )
    ]


def find_unknown_patients(films: AuditedFilms) -> list[Finding]:
    """Data sets that do not say which films are of one patient."""
    patients = films.table["patient"].n_unique()
    if films.table.height < 2 or patients < films.table.height:
        return []
    return [
        Finding(
            "patients_not_told",
            "note",
            films.table.height,
            "No two films have the same patient: whether a patient is on both sides of a split cannot be seen.",
            "If films of the same patient are among them, say so in the column patient.",
        )
    ]
