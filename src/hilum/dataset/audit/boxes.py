"""Boxes that cannot be right, and films whose boxes are missing."""

from __future__ import annotations

import numpy as np

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.finding import Finding, Severity, counted, named
from hilum.measures.boxes.overlap import iou

# Annotators drag boxes a little over the edge.
BEYOND = 0.01
TINY = 0.01
TWICE = 0.95  # intersection over union


def find_bad_boxes(films: AuditedFilms) -> list[Finding]:
    """Boxes out of the frame, too small to be meant, or drawn twice."""
    boxes = [one or [] for one in films.table["boxes"].to_list()]
    beyond = [
        [box for box in drawn if min(box[0], box[1]) < -BEYOND or max(box[0] + box[2], box[1] + box[3]) > 1 + BEYOND]
        for drawn in boxes
    ]
    tiny = [[box for box in drawn if min(box[2], box[3]) < TINY] for drawn in boxes]
    twice = [_drawn_again(drawn) for drawn in boxes]
    kinds: tuple[tuple[str, Severity, list[list[list[float]]], str, str], ...] = (
        (
            "boxes_out_of_frame",
            "warning",
            beyond,
            f"by more than {BEYOND:.0%} beyond their film",
            "Do they belong to another size of the film? Cut or correct them.",
        ),
        ("tiny_boxes", "suggestion", tiny, f"less than {TINY:.0%} of the film wide or high", "Slips of the mouse?"),
        ("boxes_drawn_twice", "suggestion", twice, "drawn twice", "Keep one of the two."),
    )
    return [
        Finding(
            kind,
            severity,
            sum(map(len, found)),
            f"{counted(sum(map(len, found)), 'box is', 'boxes are')} {what}, "
            f"on {counted(sum(map(bool, found)), 'film')}.",
            advice,
            named(films.paths, [[row] for row, bad in enumerate(found) if bad]),
        )
        for kind, severity, found, what, advice in kinds
        if any(found)
    ]


def find_missing_boxes(films: AuditedFilms) -> list[Finding]:
    """Films whose boxes and label contradict each other, where the data set has boxes at all."""
    boxes, positive = films.table["boxes"].to_list(), films.table["pneumonia"].to_list()
    if not any(boxes):
        return []
    missing = [row for row, drawn in enumerate(boxes) if positive[row] and not drawn]
    stray = [row for row, drawn in enumerate(boxes) if positive[row] is False and drawn]
    findings = []
    if missing:
        findings.append(
            Finding(
                "positive_without_boxes",
                "warning",
                len(missing),
                f"{counted(len(missing), 'film')} of pneumonia carry no box, though this data set has boxes.",
                "Treat their boxes as unknown, not as none: leave the films out when training a detector.",
                named(films.paths, [[row] for row in missing]),
                {"positive": sum(value is True for value in positive)},
            )
        )
    if stray:
        findings.append(
            Finding(
                "boxes_on_negative",
                "warning",
                len(stray),
                f"{counted(len(stray), 'film')} labeled as without pneumonia carry boxes.",
                "Find out whether the label or the box is wrong.",
                named(films.paths, [[row] for row in stray]),
            )
        )
    return findings


def _drawn_again(boxes: list[list[float]]) -> list[list[float]]:
    if not boxes:
        return []
    overlaps = iou(np.array(boxes), np.array(boxes))
    return [boxes[first] for first, _ in np.argwhere(np.triu(overlaps, 1) > TWICE).tolist()]
