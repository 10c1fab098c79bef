"""Readings of the films that were judged, as arrays beside the predictions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from hilum.bundle.card import Card
from hilum.dataset.audit.finding import counted
from hilum.dataset.readings import folder
from hilum.dataset.readings.adopt import ORIGIN
from hilum.dataset.readings.reading import Reading, Saw
from hilum.evaluation.judge import Judgement
from hilum.evaluation.predictions import NEGATIVE, POSITIVE
from hilum.measures.figure import EvaluationError

ALONE: Saw = "nothing"
WITH_ANSWER: Saw = "answer"
ByFilm = Mapping[int, Reading]  # by the row of the film among those judged


@dataclass(frozen=True, slots=True, eq=False)
class FilmReadings:
    """`readers` are called A, B, C, ... in the order of their names, which a report does not tell.

    `first` are what each saw first of a film, by what could be seen then, `again` the same film's second showing.
    `means` says of each label whether it means pneumonia.
    """

    readers: tuple[str, ...]
    names: tuple[str, ...]
    first: Mapping[tuple[str, Saw], ByFilm]
    again: Mapping[str, ByFilm]
    means: Mapping[str, bool | None]
    notes: tuple[str, ...]


def film_readings(judged: Judgement, path: Path) -> FilmReadings:
    """The readings in a folder that are of these films. Raises EvaluationError where none is."""
    try:
        given = folder.load_readings(path)
    except folder.ReadingsError as error:
        raise EvaluationError(str(error)) from None
    rows = _rows_of(judged, given)
    ours = [(row, reading) for row, reading in zip(rows, given, strict=True) if row is not None]
    if not ours:
        raise EvaluationError(
            f"{path}: holds no reading of the films of split {judged.split}; name those of these films"
        )
    names = tuple(sorted({reading.reader for _, reading in ours}))
    called = {name: _letter(number) for number, name in enumerate(names)}
    labeled = [(row, reading) for row, reading in ours if reading.label is not None and reading.round == "first"]
    first: dict[tuple[str, Saw], dict[int, Reading]] = defaultdict(dict)
    again: dict[str, dict[int, Reading]] = defaultdict(dict)
    for row, reading in labeled:
        if reading.repeat:
            again[called[reading.reader]][row] = reading
        else:
            first[called[reading.reader], reading.saw][row] = reading
    means = _meanings(judged.card, judged.films, sorted({str(reading.label) for _, reading in labeled}))
    return FilmReadings(
        readers=tuple(called.values()),
        names=names,
        first=first,
        again=again,
        means=means,
        notes=(*_made_of_readings(judged.films), *_notes(given, ours, means)),
    )


def _rows_of(judged: Judgement, given: Sequence[Reading]) -> Iterator[int | None]:
    """Films are known by the digests of their files, and copies among them by their paths."""
    films = judged.predictions
    by_digest = {digest: row for row, digest in reversed(list(enumerate(films.digests))) if digest}
    by_both = {both: row for row, both in enumerate(zip(films.paths, films.digests, strict=True))}
    for reading in given:
        yield by_both.get((reading.film, reading.digest), by_digest.get(reading.digest))


def _meanings(card: Card, films: pl.DataFrame, labels: Iterable[str]) -> dict[str, bool | None]:
    """What the manifest says that a label means, else the bundle, else hilum's own words."""
    stated = dict(films.select("label", "truth").drop_nulls().unique(maintain_order=True).iter_rows())
    named = card.recipe.get("classes") or {name: [name] for name in card.classes}
    for name in card.classes:
        for label in (name, *named.get(name, ())):
            stated.setdefault(label, name in card.positive)
    return {label: stated.get(label, {POSITIVE: True, NEGATIVE: False}.get(label)) for label in labels}


def _made_of_readings(films: pl.DataFrame) -> Iterator[str]:
    """Whether the truth is some reader's word already, as `hilum label adopt` writes down."""
    made = films[ORIGIN].count() if ORIGIN in films.columns else 0
    if made:
        yield (
            f"the labels of {made:,} of the {films.height:,} films were made from readings: readers are judged by "
            "themselves there, which flatters them and is unfair to the model"
        )


def _notes(
    given: Sequence[Reading], ours: Sequence[tuple[int, Reading]], means: Mapping[str, bool | None]
) -> Iterator[str]:
    if elsewhere := len(given) - len(ours):
        yield f"{counted(elsewhere, 'reading')} of other films left out"
    if unlabeled := sum(reading.label is None for _, reading in ours):
        yield f"{counted(unlabeled, 'reading')} without a class left out, as of films that a reader could not read"
    if settled := sum(reading.round != "first" for _, reading in ours):
        yield f"{counted(settled, 'adjudication')} left out, since adjudicators may know what the others said"
    if unknown := [label for label, meaning in means.items() if meaning is None]:
        words = ", ".join(f"“{label}”" for label in unknown)
        yield f"whether {words} means pneumonia is not known, so these readings have no sensitivity or specificity"


def _letter(number: int) -> str:
    """A, B, ..., Z, A2, B2, ..."""
    again, place = divmod(number, 26)
    return chr(ord("A") + place) + (str(again + 1) if again else "")
