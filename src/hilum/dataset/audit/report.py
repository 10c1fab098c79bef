"""An audit's report on disk (`hilum data audit -o`), read back for the commands that act on its findings."""

from __future__ import annotations

import json
from pathlib import Path

from hilum.dataset.manifest.manifest import Manifest

Groups = list[list[str]]
# Findings whose films belong together in a split.
LINKED = ("exact_duplicates", "near_duplicates", "patients_share_film")


class ReportError(ValueError):
    """A file that is no report on this data set; one line with what to do."""


def load_groups(manifest: Manifest, report: Path) -> dict[str, Groups]:
    """The groups of films, by their paths, of each finding that names any."""
    try:
        audit = json.loads(report.read_text(encoding="utf-8"))
        findings = {finding["kind"]: finding["groups"] for finding in audit["findings"]}
        digest = audit["digest"]
    except (ValueError, TypeError, KeyError) as error:
        raise ReportError(
            f"{report}: no audit report; make one with `hilum data audit MANIFEST -o {report}`"
        ) from error
    if digest != manifest.digest:
        raise ReportError(f"{report}: an audit of another state of this data set; audit it again")
    return {kind: groups for kind, groups in findings.items() if groups}
