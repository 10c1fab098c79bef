"""Films as a bundle judged them for a comparison: kept in a table, so that they can be compared again in no time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hilum.bundle.card import BundleError
from hilum.bundle.drift.baseline import FACTS, DriftCard
from hilum.bundle.drift.traits import Traits, joined, traits_of_readings
from hilum.bundle.reading import Reading
from hilum.dataset.manifest.csv_table import read_csv
from hilum.measures.figure import EvaluationError
from hilum.radiograph.folder import files_below, may_be_film
from hilum.radiograph.patient import PATIENTS, Patient
from hilum.system.rows import write_csv

if TYPE_CHECKING:
    from hilum.bundle.card import Card
    from hilum.bundle.predictor import Predictor

FILM, BUNDLE, PATIENT = "film", "bundle", "patient_group"
AT_ONCE = 64  # readings kept before they become traits


@dataclass(frozen=True, slots=True)
class JudgedFilms:
    """Films by their paths, and their traits, in one order. `failures` are lines on films that could not be read.

    `of_patients` says that no two are of one patient, which only a manifest tells. `passed_over` counts what lay beside
    films and is none.
    """

    paths: tuple[str, ...]
    traits: Traits
    failures: tuple[str, ...] = ()
    of_patients: bool = False
    passed_over: int = 0


def baseline_of(card: Card, path: Path) -> DriftCard:
    """What a bundle's films looked like. Raises BundleError of one that does not know."""
    if card.drift is None:
        raise BundleError(
            f"{path}: knows no films to compare with: it was exported by an earlier hilum, or on films of too few "
            "patients; export it again, or give it films of your own: hilum calibrate --unlabelled"
        )
    return card.drift


def of_manifest(path: Path, split: str | None) -> list[Path]:
    """One film of each patient, in the order of the manifest."""
    from hilum.dataset.manifest.manifest import load_manifest  # and polars, which folders of films do without
    from hilum.evaluation.guard import choose

    manifest = load_manifest(path)
    rows = choose(manifest, split or "all").unique("patient", keep="first", maintain_order=True)
    return [manifest.path(film) for film in rows["path"]]


def films_below(paths: Sequence[Path]) -> tuple[list[Path], int]:
    """Every film that is named, and every one below the folders that are; how many other files lie there."""
    found: list[Path] = []
    others = 0
    for path in paths:
        files = list(files_below(path)) if path.is_dir() else [path]
        films = [file for file in files if may_be_film(file)] if path.is_dir() else files
        found += films
        others += len(files) - len(films)
    return found, others


def judge_films(
    predictor: Predictor,
    films: Sequence[Path],
    on_progress: Callable[[int, int], None],
    *,
    of_patients: bool = False,
) -> JudgedFilms:
    """Look at films with a bundle; those that cannot be read are told apart."""
    axes = baseline_of(predictor.card, predictor.path).axes
    positive = [predictor.card.classes.index(name) for name in predictor.card.positive]
    paths: list[str] = []
    failures: list[str] = []
    parts: list[Traits] = []
    waiting: list[Reading] = []

    def take() -> None:
        if waiting:
            parts.append(traits_of_readings(waiting, axes, positive))
            waiting.clear()

    for done, (film, reading) in enumerate(zip(films, predictor.readings(films), strict=True), start=1):
        if not isinstance(reading, Reading):
            failures.append(f"{film}: {reading.reason}: {reading.detail}")
        elif not np.isfinite(reading.features).all():
            failures.append(f"{film}: not_a_number: the network gave no number for this film; export the bundle again")
        else:
            paths.append(str(film))
            waiting.append(reading)
        if len(waiting) == AT_ONCE:
            take()
        on_progress(done, len(films))
    take()
    if not paths:
        first = f"; the first: {failures[0]}" if failures else "; give films or folders that hold some"
        raise EvaluationError(f"no film could be read{first}")
    return JudgedFilms(tuple(paths), joined(parts), tuple(failures), of_patients)


def save_judged(judged: JudgedFilms, path: Path, bundle: str, baseline: DriftCard) -> None:
    """One row a film; `bundle` is the digest of the one that judged them."""
    header = [FILM, BUNDLE, PATIENT, *baseline.names, *FACTS]
    traits = judged.traits
    rows = zip(judged.paths, traits.patients, traits.numbers.tolist(), traits.facts, strict=True)
    write_csv(
        path,
        [
            header,
            *(
                [film, bundle, patient, *(None if np.isnan(number) else number for number in numbers), *facts]
                for film, patient, numbers, facts in rows
            ),
        ],
    )


def is_judged(path: Path) -> bool:
    """Whether this is a table that `save_judged` wrote, by its first line."""
    if path.suffix.lower() != ".csv" or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(FILM) + len(BUNDLE) + 2).decode("latin-1") == f"{FILM},{BUNDLE},"


def load_judged(path: Path, bundle: str, baseline: DriftCard) -> JudgedFilms:
    """Films judged before, by the same bundle. Raises EvaluationError where another one judged them."""
    table = read_csv(path, EvaluationError)
    names = baseline.names
    if not table.rows or {row[1] for row in table.rows} != {bundle}:
        raise EvaluationError(f"{path}: was judged by another bundle; give the films themselves")
    if table.header != [FILM, BUNDLE, PATIENT, *names, *FACTS]:
        raise EvaluationError(f"{path}: has other columns than `hilum drift` writes; give the films themselves")
    patients: list[Patient | None] = []
    numbers = np.empty((len(table.rows), len(names)))
    for place, (line, row) in enumerate(zip(table.lines, table.rows, strict=True)):
        patient = next((known for known in PATIENTS if known == row[2]), None)
        patients.append(patient)
        try:
            numbers[place] = [float(cell) if cell else np.nan for cell in row[3 : 3 + len(names)]]
        except ValueError:
            raise EvaluationError(f"{path}: line {line}: a cell is no number; give the films themselves") from None
    facts = tuple(tuple(row[3 + len(names) :]) for row in table.rows)
    return JudgedFilms(tuple(row[0] for row in table.rows), Traits(tuple(patients), numbers, facts))
