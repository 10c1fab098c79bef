"""Suspects: films whose label may be wrong, the worst first, each with the reasons."""

from __future__ import annotations

from collections import Counter
from typing import Any, NamedTuple

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.finding import counted
from hilum.evaluation.doubt.confident import doubt_of, flagged, suggested
from hilum.evaluation.doubt.opinion import Opinion
from hilum.evaluation.doubt.sides import Sides

MODEL, COPIES, BOXES = "model", "copies", "boxes"
# What `hilum label --suspects` reads comes first.
COLUMNS = (
    *("path", "label", "suggested", "score", "reason"),
    *("found_by", "probability_of_label", "probability_of_suggested", "copies", "source", "split"),
)
UNKNOWN = 0.5  # the doubt of a film of which no model said anything


class Judged(NamedTuple):
    """What a model says of a film: the side of its label and its best rival, and how likely it holds each."""

    doubt: float
    given: str
    own: float
    rival: str
    others: float
    flagged: bool


class Suspect(NamedTuple):
    """A film whose label may be wrong. `score` is from 0 to 1; `found_by` are those of model, copies and boxes that
    speak against the label; `copies` number the group of films that show the same, where their labels differ.

    >>> worst = hilum.doubt("films/manifest.parquet", bundle="model.onnx").suspects[0]
    >>> worst.label != worst.suggested, sorted(worst.row())[:2]
    (True, ['copies', 'found_by'])
    """

    path: str
    label: str
    suggested: str
    score: float
    reason: str
    found_by: tuple[str, ...]
    own: float | None
    rival: float | None
    copies: int | None
    source: str
    split: str

    def row(self) -> dict[str, Any]:
        """Under COLUMNS."""
        cells = (*self[:5], " ".join(self.found_by), *self[6:])
        return dict(zip(COLUMNS, cells, strict=True))


def judged_films(opinion: Opinion, sides: Sides) -> dict[str, Judged]:
    """By path."""
    doubts, rivals, bad = doubt_of(sides), suggested(sides), set(flagged(sides).tolist())
    return {
        path: Judged(
            float(doubts[row]),
            sides.names[sides.given[row]],
            float(sides.shares[row, sides.given[row]]),
            sides.names[rivals[row]],
            float(sides.shares[row, rivals[row]]),
            row in bad,
        )
        for row, path in enumerate(opinion.films["path"].to_list())
    }


def suspects_of(films: AuditedFilms, judged: dict[str, Judged]) -> list[Suspect]:
    """Whoever the model doubts, and whatever contradicts itself: copies of a film, or a film's boxes and its label.

    A contradiction counts half, the model the other half: of two copies it says which one is the likelier to be wrong.
    """
    table = films.table
    labels, positive, boxes = (table[name].to_list() for name in ("label", "pneumonia", "boxes"))
    copies = {
        row: (number, Counter(labels[other] for other in group if labels[other]))
        for number, group in enumerate(conflicting(films), start=1)
        for row in group
    }
    sources = table["source"].to_list()
    with_boxes = {source for source, drawn in zip(sources, boxes, strict=True) if drawn}
    found = []
    for row, path in enumerate(films.paths):
        said, reasons, by = judged.get(path), [], []
        suggestion = said.rival if said else ""
        if said and said.flagged:
            by.append(MODEL)
            reasons.append(f"the model gives {said.given} {said.own:.0%} and {said.rival} {said.others:.0%}")
        if row in copies:
            by.append(COPIES)
            reasons.append(f"the same film is labeled {_listed(copies[row][1])}")
            suggestion = _of_copies(labels[row], copies[row][1], suggestion)
        if positive[row] is False and boxes[row]:
            by.append(BOXES)
            reasons.append(f"{counted(len(boxes[row]), 'box', 'boxes')} on a film labeled as without pneumonia")
        elif sources[row] in with_boxes and positive[row] and not boxes[row]:
            by.append(BOXES)
            reasons.append("pneumonia without a box, where others of its source have some")
        if by:
            doubt = said.doubt if said else UNKNOWN
            found.append(
                Suspect(
                    path=path,
                    label=labels[row] or "",
                    suggested=suggestion,
                    score=doubt if by == [MODEL] else (1 + doubt) / 2,
                    reason="; ".join(reasons),
                    found_by=tuple(by),
                    own=said.own if said else None,
                    rival=said.others if said else None,
                    copies=copies[row][0] if row in copies else None,
                    source=sources[row] or "",
                    split=films.sides[row] or "",
                )
            )
    return sorted(found, key=lambda suspect: (-suspect.score, suspect.path))


def conflicting(films: AuditedFilms) -> list[list[int]]:
    """Groups of films that show the same under different labels, in the order of their paths."""
    labels = films.table["label"].to_list()
    return sorted(group for group in films.same if len({labels[row] for row in group} - {None}) > 1)


def _listed(labels: Counter[str]) -> str:
    return " and ".join(f"{label} ({count} times)" if count > 1 else label for label, count in sorted(labels.items()))


def _of_copies(own: str | None, labels: Counter[str], of_model: str) -> str:
    """What most of the copies say where this film is alone with its label; else the model's word, if it is a copy's."""
    rivals = Counter({label: count for label, count in labels.items() if label != own})
    if of_model in rivals:
        return of_model
    most = max(rivals.values())
    return next(label for label in sorted(rivals) if rivals[label] == most)
