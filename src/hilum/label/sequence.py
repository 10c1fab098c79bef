"""From what is asked for to the order in which each reader sees films."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hilum.dataset.manifest.csv_table import read_csv
from hilum.dataset.readings.reading import Reading
from hilum.label.films import FilmSet, RoomError
from hilum.label.orders import Showing, ranked, shuffled, stratified, with_repeats
from hilum.label.room import first_round

Kind = Literal["random", "stratified", "uncertainty", "doubt", "disagreement", "drift"]


@dataclass(frozen=True, slots=True, eq=False)
class Sequencer:
    """The order of a reader's films. `ranks` hold for those it names, higher first; `only` them where it is set."""

    films: FilmSet
    seed: int = 1
    repeat: float = 0.0
    strata: Sequence[str | None] | None = None
    ranks: Mapping[int, float] | None = None
    only: bool = False

    def __call__(self, reader: str) -> list[Showing]:
        """A reader's showings: chance is another one for each reader."""
        seed = f"{self.seed} {reader}"
        paths = self.films.paths
        films = range(len(paths))
        if self.ranks is not None:
            chosen = [film for film in films if film in self.ranks] if self.only else list(films)
            lowest = min(self.ranks.values(), default=0.0) - 1
            ranks = [self.ranks.get(film, lowest) for film in films]
            order = ranked(chosen, ranks, paths, seed)
        elif self.strata is not None:
            order = stratified(films, paths, self.strata, seed)
        else:
            order = shuffled(films, paths, seed)
        return with_repeats(order, paths, self.repeat, seed)


def suspected(films: FilmSet, suspects: Path) -> dict[int, float]:
    """Ranks of the films that `hilum data doubt --csv` suspects, the worst first. Raises RoomError."""
    table = read_csv(suspects, RoomError)
    if "path" not in table.header:
        raise RoomError(f"{suspects}: has no column path; give what hilum data doubt --csv wrote")
    column = table.header.index("path")
    named = [row[column] for row in table.rows]
    places = {path: film for film, path in enumerate(films.paths)}
    found = {places[path]: float(-row) for row, path in reversed(list(enumerate(named))) if path in places}
    if named and not found:
        raise RoomError(f"{suspects}: names no film of {films.source}; was it written of another manifest?")
    return found


def disputed(films: FilmSet, out: Path) -> dict[int, float]:
    """Ranks of the films that readers of the first round read differently, those in most ways first."""
    places = {path: film for film, path in enumerate(films.paths)}
    return {places[film]: float(ways) for film, ways in differences(first_round(out)).items() if film in places}


def differences(readings: Sequence[Reading]) -> dict[str, int]:
    """In how many ways each film was read, of those that were read in more than one by different readers."""
    of_film: dict[str, list[Reading]] = defaultdict(list)
    for reading in readings:
        of_film[reading.film].append(reading)
    ways = {film: len({_said(reading) for reading in given}) for film, given in of_film.items()}
    return {film: count for film, count in ways.items() if count > 1}


def _said(reading: Reading) -> tuple[str | None, bool, bool, bool]:
    return (reading.label, reading.readable, reading.lateral, bool(reading.boxes))
