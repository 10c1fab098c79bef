"""Predictions: what a model said of films whose truth is known, and predictions.csv, which holds the same."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from hilum.dataset.manifest.csv_table import read_csv
from hilum.measures.figure import Bools, EvaluationError, Floats, Ints
from hilum.system.rows import write_csv

FIRST = ("path", "file_digest", "patient", "label", "truth", "target", "probability")
LAST = ("threshold", "decision", "gate", "error")
GROUP = "patient_group"  # a column where groups of patients have thresholds of their own
OF_CLASS = "probability of "
UNGATED, PASSED = "not asked", "passed"  # of the gate: the bundle has none, or it let the film through
POSITIVE, NEGATIVE, ABSTAIN = "pneumonia", "no_pneumonia", "abstain"


class Failure(NamedTuple):
    """A film that could not be judged, and why."""

    path: str
    file_digest: str
    error: str


@dataclass(frozen=True, slots=True, eq=False)
class Predictions:
    """Films of known truth in parallel arrays. Probabilities are there whatever the gate said of a film.

    `thresholds` are one for all films, or that of each film's group of patients; `patient_groups` are those that the
    films were judged as, empty of a bundle without such. `patients` are numbers of no meaning outside. `targets` are
    class numbers, -1 where the label is none of the bundle's classes, or does not say which of several. `gate` is
    "passed", "not asked", or why the film was turned away.
    """

    name: str
    classes: tuple[str, ...]
    thresholds: Floats
    paths: tuple[str, ...]
    digests: tuple[str, ...]
    patients: Ints
    labels: tuple[str, ...]
    truth: Bools
    targets: Ints
    probability: Floats
    class_probabilities: Floats
    gate: tuple[str, ...]
    patient_groups: tuple[str, ...] = ()
    failures: tuple[Failure, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    @property
    def called(self) -> Bools:
        """The decision by threshold alone."""
        return self.probability >= self.thresholds

    @property
    def threshold(self) -> float | None:
        """That of all films; None where groups of patients have their own."""
        return float(self.thresholds[0]) if len(np.unique(self.thresholds)) == 1 else None

    @property
    def turned_away(self) -> Bools:
        """The films that the gate took for no upright frontal chest films."""
        return np.array([verdict not in (PASSED, UNGATED) for verdict in self.gate], np.bool_)

    def take(self, rows: Ints) -> Predictions:
        """These films only, in this order."""
        picked = [int(row) for row in rows]

        def pick(values: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(values[row] for row in picked)

        return replace(
            self,
            thresholds=self.thresholds[rows],
            paths=pick(self.paths),
            digests=pick(self.digests),
            patients=self.patients[rows],
            labels=pick(self.labels),
            truth=self.truth[rows],
            targets=self.targets[rows],
            probability=self.probability[rows],
            class_probabilities=self.class_probabilities[rows],
            gate=pick(self.gate),
            patient_groups=pick(self.patient_groups) if self.patient_groups else (),
        )


def join_predictions(parts: Sequence[Predictions]) -> Predictions:
    """Of several sets of films as one; patients have the same numbers in all of them."""
    first = parts[0]
    return replace(
        first,
        thresholds=np.concatenate([part.thresholds for part in parts]),
        paths=tuple(path for part in parts for path in part.paths),
        digests=tuple(digest for part in parts for digest in part.digests),
        patients=np.concatenate([part.patients for part in parts]),
        labels=tuple(label for part in parts for label in part.labels),
        truth=np.concatenate([part.truth for part in parts]),
        targets=np.concatenate([part.targets for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        class_probabilities=np.concatenate([part.class_probabilities for part in parts]),
        gate=tuple(verdict for part in parts for verdict in part.gate),
        patient_groups=tuple(group for part in parts for group in part.patient_groups),
        failures=tuple(failure for part in parts for failure in part.failures),
    )


def rows_of(predictions: Predictions) -> list[dict[str, Any]]:
    """One row a film, as for a data frame: those that were judged, then those that could not be."""
    rows = []
    for row in range(len(predictions)):
        target = int(predictions.targets[row])
        decision = POSITIVE if predictions.called[row] else NEGATIVE
        shares = map(float, predictions.class_probabilities[row])
        rows.append(
            {
                "path": predictions.paths[row],
                "file_digest": predictions.digests[row],
                "patient": int(predictions.patients[row]),
                "label": predictions.labels[row],
                "truth": int(predictions.truth[row]),
                "target": predictions.classes[target] if target >= 0 else None,
                "probability": float(predictions.probability[row]),
                **{OF_CLASS + name: share for name, share in zip(predictions.classes, shares, strict=True)},
                "threshold": float(predictions.thresholds[row]),
                "decision": ABSTAIN if predictions.turned_away[row] else decision,
                "gate": predictions.gate[row],
                "error": None,
            }
            | ({GROUP: predictions.patient_groups[row]} if predictions.patient_groups else {})
        )
    blank: dict[str, Any] = dict.fromkeys(header_of(predictions))
    return rows + [{**blank, **failure._asdict()} for failure in predictions.failures]


def header_of(predictions: Predictions) -> tuple[str, ...]:
    """The columns of predictions.csv, which has one for each class."""
    group = [GROUP] if predictions.patient_groups else []
    return (*FIRST, *(OF_CLASS + name for name in predictions.classes), *group, *LAST)


def save_predictions(predictions: Predictions, path: Path) -> None:
    """predictions.csv. A float is written with every digit, so that reading gives the same decisions."""
    header = header_of(predictions)
    write_csv(path, [header, *([row[column] for column in header] for row in rows_of(predictions))])


def load_predictions(path: Path) -> Predictions:
    """predictions.csv, or the folder that `hilum evaluate` wrote it to."""
    path = path / "predictions.csv" if path.is_dir() else path
    cells = read_csv(path, EvaluationError)
    header = tuple(cells.header)
    if missing := [name for name in (*FIRST, *LAST) if name not in header]:
        raise EvaluationError(f"{path}: has no column {missing[0]!r}; name a predictions.csv of `hilum evaluate`")
    classes = tuple(name.removeprefix(OF_CLASS) for name in header if name.startswith(OF_CLASS))
    rows = [dict(zip(header, row, strict=True)) for row in cells.rows]
    films = [(line, row) for line, row in zip(cells.lines, rows, strict=True) if not row["error"]]
    failures = tuple(Failure(row["path"], row["file_digest"], row["error"]) for row in rows if row["error"])
    if not films:
        raise EvaluationError(f"{path}: holds no film that was judged")
    kept = [row for _, row in films]
    groups = tuple(row[GROUP] for row in kept) if GROUP in header else ()
    thresholds = np.array([_number(path, line, row, "threshold") for line, row in films])
    if len(set(zip(groups or [""] * len(kept), thresholds.tolist(), strict=True))) > len(set(groups) or {""}):
        raise EvaluationError(f"{path}: has several thresholds; predict all films at one operating point")
    if odd := [line for line, row in films if row["truth"] not in ("0", "1") or not row["patient"].isdecimal()]:
        raise EvaluationError(f"{path}: line {odd[0]}: truth is 0 or 1 and patient a number; evaluate again")
    if odd := [line for line, row in films if row["target"] and row["target"] not in classes]:
        raise EvaluationError(f"{path}: line {odd[0]}: target is none of the classes in the header; evaluate again")
    shares = [[_number(path, line, row, OF_CLASS + name) for name in classes] for line, row in films]
    return Predictions(
        name=path.parent.name if path.name == "predictions.csv" else path.stem,
        classes=classes,
        thresholds=thresholds,
        paths=tuple(row["path"] for row in kept),
        digests=tuple(row["file_digest"] for row in kept),
        patients=np.array([int(row["patient"]) for row in kept], np.int64),
        labels=tuple(row["label"] for row in kept),
        truth=np.array([row["truth"] == "1" for row in kept]),
        targets=np.array([classes.index(row["target"]) if row["target"] else -1 for row in kept], np.int64),
        probability=np.array([_number(path, line, row, "probability") for line, row in films]),
        class_probabilities=_matrix(shares, len(classes)),
        gate=tuple(row["gate"] or UNGATED for row in kept),
        patient_groups=groups,
        failures=failures,
    )


def _number(path: Path, line: int, row: dict[str, str], column: str) -> float:
    try:
        number = float(row[column])
    except ValueError:
        number = math.nan
    # A threshold above 1 calls no film; export makes one where validation asks for it.
    if not 0 <= number <= (2 if column == "threshold" else 1):
        raise EvaluationError(f"{path}: line {line}, column {column}: no number from 0 to 1; evaluate again")
    return number


def _matrix(rows: list[list[float]], columns: int) -> NDArray[np.float64]:
    return np.array(rows, np.float64).reshape(len(rows), columns)
