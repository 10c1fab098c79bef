"""What is on both sides of a split, and splits too small to choose by."""

from __future__ import annotations

import re
from collections import defaultdict

from hilum.dataset.audit.films import AuditedFilms, Groups
from hilum.dataset.audit.finding import Finding, counted, named

# Below these, the better of two networks is told by chance: the AUC of 30 against 70 films is uncertain by 0.06.
FEWEST_FILMS, FEWEST_OF_A_CLASS = 100, 30
SIDE_IN_PATIENT = re.compile(r"(train|val|test)/(.+)")


def find_leaks(films: AuditedFilms) -> list[Finding]:
    """Patients and copies on both sides of the split: a network is then judged on what it has seen."""
    by_patient: dict[str, list[int]] = defaultdict(list)
    for row, patient in enumerate(films.table["patient"].to_list()):
        by_patient[patient].append(row)
    column = films.side_column
    torn = (
        ("patient_on_both_sides", "patient", _torn(films, list(by_patient.values())), "Split by patient"),
        ("duplicate_on_both_sides", "group", _torn(films, films.identical), "Keep copies on one side"),
        ("near_duplicate_on_both_sides", "group", _torn(films, films.similar), "Keep copies on one side"),
    )
    whats = {
        "patient_on_both_sides": "have films",
        "duplicate_on_both_sides": "of identical pixels lie",
        "near_duplicate_on_both_sides": "of the same exposure lie",
    }
    return [
        Finding(
            kind,
            "leak",
            len(groups),
            f"{counted(len(groups), thing)} {whats[kind]} on more than one side of the column {column}.",
            f"{advice}: `hilum data split`; what was measured on this split flatters.",
            named(films.paths, groups),
            {"films": sum(map(len, groups)), "column": column},
        )
        for kind, thing, groups, advice in torn
        if groups
    ]


def find_repeated_numbers(films: AuditedFilms) -> list[Finding]:
    """Names such as train/person12 and test/person12, whose importer could not tell whether they are one person."""
    rows_of: dict[str, list[int]] = defaultdict(list)
    numbered: dict[str, set[str]] = defaultdict(set)
    for row, patient in enumerate(films.table["patient"].to_list()):
        if match := SIDE_IN_PATIENT.fullmatch(patient):
            numbered[match[2]].add(match[1])
            rows_of[match[2]].append(row)
    repeated = [rows_of[name] for name, sides in numbered.items() if len(sides) > 1]
    if not repeated:
        return []
    return [
        Finding(
            "patient_number_repeats",
            "warning",
            len(repeated),
            f"{counted(len(repeated), 'patient number repeats', 'patient numbers repeat')} across the official split; "
            "whether they are the same person cannot be told.",
            "Say that a patient leak into test could not be excluded when you publish figures on it.",
            named(films.paths, repeated),
            {"films": sum(map(len, repeated))},
        )
    ]


def find_small_validation(films: AuditedFilms) -> list[Finding]:
    """A validation split too small to choose a network by."""
    rows = [row for row, side in enumerate(films.sides) if side == "val"]
    if not rows:
        return []
    classes: dict[str, int] = defaultdict(int)
    for pneumonia in films.table["pneumonia"].gather(rows).to_list():
        if pneumonia is not None:
            classes["pneumonia" if pneumonia else "no pneumonia"] += 1
    fewest = min(classes.get("pneumonia", 0), classes.get("no pneumonia", 0))
    if len(rows) >= FEWEST_FILMS and fewest >= FEWEST_OF_A_CLASS:
        return []
    return [
        Finding(
            "small_validation",
            "warning",
            len(rows),
            f"The validation split has {counted(len(rows), 'film')} ({classes.get('pneumonia', 0):,} with pneumonia, "
            f"{classes.get('no pneumonia', 0):,} without): too few to choose an epoch or a threshold by "
            f"(at least {FEWEST_FILMS} films and {FEWEST_OF_A_CLASS} of each class).",
            "Split train anew with `hilum data split`.",
            named(films.paths, [[row] for row in rows]),
            dict(classes),
        )
    ]


def _torn(films: AuditedFilms, groups: Groups) -> Groups:
    return [group for group in groups if len({films.sides[row] for row in group if films.sides[row]}) > 1]
