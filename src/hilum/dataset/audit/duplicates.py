"""The same film more than once, and what its copies say that cannot both be true."""

from __future__ import annotations

import numpy as np

from hilum.dataset.audit.films import AuditedFilms, Groups
from hilum.dataset.audit.finding import Finding, counted, named
from hilum.measures.boxes.overlap import iou

Boxes = list[list[float]]
SAME_BOX = 0.9  # intersection over union


def find_duplicates(films: AuditedFilms) -> list[Finding]:
    """Films of the same pixels, and films of the same exposure that were processed anew."""
    findings = []
    if films.identical:
        findings.append(
            Finding(
                "exact_duplicates",
                "warning",
                len(films.identical),
                f"{_films_in_groups(films.identical)} of identical pixels.",
                "Keep one of each group, or at least never split a group.",
                named(films.paths, films.identical),
                {"films": sum(map(len, films.identical))},
            )
        )
    if films.similar:
        findings.append(
            Finding(
                "near_duplicates",
                "warning",
                len(films.similar),
                f"{_films_in_groups(films.similar)} that look like one exposure, encoded, cropped or processed anew.",
                "Look at them; give each group one patient, or keep one film of it.",
                named(films.paths, films.similar),
                {"films": sum(map(len, films.similar))},
            )
        )
    return findings


def find_conflicting_labels(films: AuditedFilms) -> list[Finding]:
    """The same film under different labels: one of them is wrong, and a network learns both."""
    labels = films.table["label"].to_list()
    groups = [group for group in films.same if len({labels[row] for row in group if labels[row]}) > 1]
    if not groups:
        return []
    return [
        Finding(
            "conflicting_labels",
            "warning",
            len(groups),
            f"{counted(len(groups), 'group')} of the same film {_have(groups)} different labels.",
            "Ask the source which label is right, or drop the whole group.",
            named(films.paths, groups),
        )
    ]


def find_conflicting_boxes(films: AuditedFilms) -> list[Finding]:
    """The same film with different boxes, or with boxes here and nobody's opinion there."""
    boxes = films.table["boxes"].to_list()
    different = [group for group in films.identical if _differ_among_known([boxes[row] for row in group])]
    partly = [
        group
        for group in films.identical
        if any(boxes[row] for row in group) and any(boxes[row] is None for row in group) and group not in different
    ]
    groups = different + partly
    if not groups:
        return []
    return [
        Finding(
            "conflicting_boxes",
            "warning",
            len(groups),
            f"{counted(len(groups), 'group')} of identical films {_have(groups)} different boxes; "
            f"in {len(partly):,} of them only some copies have any.",
            "Where one copy has boxes, keep that one; where they contradict, ask the source or drop the whole group.",
            named(films.paths, groups),
            {"contradicting": len(different), "only_on_some_copies": len(partly)},
        )
    ]


def find_shared_films(films: AuditedFilms) -> list[Finding]:
    """The same film under different patients, which lets a split by patient leak."""
    patients = films.table["patient"].to_list()
    groups = [group for group in films.same if len({patients[row] for row in group}) > 1]
    if not groups:
        return []
    return [
        Finding(
            "patients_share_film",
            "warning",
            len(groups),
            f"{counted(len(groups), 'group')} of one film {_have(groups)} different patients, who may be one person.",
            "Give them one patient in the manifest; else a split by patient can part them.",
            named(films.paths, groups),
        )
    ]


def _have(groups: Groups) -> str:
    return "has" if len(groups) == 1 else "have"


def _films_in_groups(groups: Groups) -> str:
    return f"{counted(sum(map(len, groups)), 'film')} in {counted(len(groups), 'group')}"


def _differ_among_known(boxes: list[Boxes | None]) -> bool:
    known = [one for one in boxes if one is not None]
    return any(_differ(known[0], other) for other in known[1:])


def _differ(first: Boxes, second: Boxes) -> bool:
    if len(first) != len(second):
        return True
    return bool(first) and bool((iou(np.array(first), np.array(second)).max(1) < SAME_BOX).any())
