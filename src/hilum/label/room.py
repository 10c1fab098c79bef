"""A Room: who reads which films in which order, and what they have said so far."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal

from hilum import __version__
from hilum.dataset.readings.folder import FOLDER, add_reading, file_of, latest, read_file
from hilum.dataset.readings.reading import Box, Reading, Round, now
from hilum.label.films import FilmSet, RoomError
from hilum.label.orders import Showing
from hilum.system.files import file_digest, write_whole

Answers = Literal["never", "after", "first"]  # when a reader sees what the model says of a film
ROOM = "room.json"


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """What a room is opened for. `order` gives a reader's showings, `start` the boxes that films begin with."""

    films: FilmSet
    out: Path
    readers: tuple[str, ...]
    classes: tuple[str, ...]
    order: Callable[[str], Sequence[Showing]]
    answers: Answers = "never"
    round: Round = "first"
    start: Mapping[str, list[Box]] = field(default_factory=dict)


class Desk:
    """One reader's films and readings."""

    def __init__(self, plan: Plan, reader: str, *, told: bool) -> None:
        self.reader = reader
        self.showings = list(plan.order(reader))
        self._plan = plan
        self._told = told  # whether this room has ever shown answers after a reading
        file = file_of(plan.out, reader)
        lines = [each for each in read_file(file) if each.reader == reader] if file.exists() else []
        lines = [each for each in lines if each.round == plan.round]
        self._readings: dict[tuple[str, int], Reading] = {(each.film, each.repeat): each for each in latest(lines)}
        self._ever = {each.film for each in lines}
        self._others: dict[str, list[Reading]] = defaultdict(list)
        for each in first_round(plan.out) if plan.round == "adjudication" else ():
            self._others[each.film].append(each)

    def reading(self, place: int) -> Reading | None:
        """What was said of a showing."""
        film, repeat = self.showings[place]
        return self._readings.get((self._plan.films.paths[film], repeat))

    def readings(self) -> list[tuple[int, Reading]]:
        """All of them with their places."""
        return [(place, found) for place in range(len(self.showings)) if (found := self.reading(place)) is not None]

    def others(self, place: int) -> list[Reading]:
        """What the first round said of a film, for whoever settles a difference."""
        return self._others.get(self._plan.films.paths[self.showings[place].film], [])

    def give(self, place: int, values: Mapping[str, Any]) -> Reading:
        """Keep what the reader says of a showing; it is on the disk when this returns.

        Raises ValueError for what is no reading, OSError where it cannot be kept.
        """
        film, repeat = self.showings[place]
        path = self._plan.films.paths[film]
        reading = Reading(
            reader=self.reader,
            film=path,
            digest=file_digest(self._plan.films.path(film)),
            given=now(),
            saw="answer" if self._saw(path) else "nothing",
            repeat=1 if repeat else 0,
            round=self._plan.round,
            **values,
        )
        if reading.label is not None and reading.label not in self._plan.classes:
            raise ValueError("label: none of the classes")
        add_reading(self._plan.out, reading)
        self._ever.add(path)
        if reading.withdrawn:
            self._readings.pop((path, reading.repeat), None)
        else:
            self._readings[path, reading.repeat] = reading
        return reading

    def _saw(self, film: str) -> bool:
        """Whether the model's answer, or boxes of somebody's, were there to be seen before this reading."""
        return self._plan.answers == "first" or film in self._plan.start or (self._told and film in self._ever)


class Room:
    """All readers' desks, opened in a folder that remembers which films it is for."""

    def __init__(self, plan: Plan, *, told: bool) -> None:
        self.plan = plan
        self.desks = {reader: Desk(plan, reader, told=told) for reader in plan.readers}


def first_round(out: Path) -> list[Reading]:
    """The readings that count of the first round, of films shown for the first time."""
    lines = (each for path in sorted((out / FOLDER).glob("*.jsonl")) for each in read_file(path))
    return [each for each in latest(lines) if each.round == "first" and not each.repeat]


def room_of(out: Path) -> dict[str, Any]:
    """What a folder remembers of its room: films, classes, whether answers were shown. Raises RoomError."""
    try:
        return dict(json.loads((out / ROOM).read_text("utf-8")))
    except FileNotFoundError:
        raise RoomError(f"{out}: no room of hilum label; name the folder that was its --out") from None
    except ValueError:
        raise RoomError(f"{out / ROOM}: damaged; take it away, and open the room again with hilum label") from None


def films_of_room(out: Path) -> Path:
    """The manifest or folder whose films a room is for."""
    return Path(os.path.normpath(out / room_of(out)["films"]))


def remember(out: Path, films: FilmSet, classes: Sequence[str], answers: Answers) -> bool:
    """Note in a folder what its readings are of; whether answers were ever shown in it. Raises RoomError."""
    if out.is_dir() and not (out / ROOM).exists() and any(out.iterdir()):
        raise RoomError(f"{out}: not empty, and no room of hilum label; name another folder: --out DIR")
    out.mkdir(parents=True, exist_ok=True)
    told = answers != "never"
    source = films.source.resolve()
    if (out / ROOM).exists():
        before = films_of_room(out).resolve()
        # A manifest of a folder and the folder itself name the same films alike.
        if (before if before.is_dir() else before.parent) != films.folder.resolve():
            raise RoomError(f"{out}: holds readings of other films ({films_of_room(out)}); name another --out")
        told = told or bool(room_of(out)["answers_shown"])
    kept = {
        "hilum": __version__,
        "films": Path(os.path.relpath(source, out.resolve())).as_posix(),
        "classes": list(classes),
        "answers_shown": told,
    }
    write_whole(out / ROOM, json.dumps(kept, indent=2) + "\n")
    return told


def plain(reading: Reading) -> dict[str, Any]:
    """A reading as the page has it: without what it must not know, as the film's name."""
    values: dict[str, Any] = json.loads(replace(reading, film="-").to_line())
    return {name: value for name, value in values.items() if name not in ("film", "digest")}
