"""A film as any of these formats has it, and which film of ours a name means."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from hilum.dataset.readings.reading import Box
from hilum.label.films import FilmSet, RoomError


class Labeled(NamedTuple):
    """A film by its name, with its class, its boxes in pixels, and its width and height where they are known."""

    film: str
    label: str | None
    boxes: list[Box]
    size: tuple[int, int] | None = None


def matched(found: Iterable[Labeled], films: FilmSet, where: Path) -> list[Labeled]:
    """The same under our paths: by path, or by file name where one film alone has it. Raises RoomError if none fits."""
    listed = list(found)
    by_name: dict[str, list[str]] = defaultdict(list)
    for path in films.paths:
        by_name[PurePosixPath(path).name].append(path)
    known = set(films.paths)
    ours = []
    for labeled in listed:
        named = by_name[PurePosixPath(labeled.film.replace("\\", "/")).name]
        if labeled.film in known or len(named) == 1:
            ours.append(labeled if labeled.film in known else labeled._replace(film=named[0]))
    if listed and not ours:
        raise RoomError(f"{where}: names no film of {films.source}; are they the same films?")
    return ours


def json_of(path: Path) -> Any:
    """What a JSON file holds. Raises RoomError."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise RoomError(f"{path}: no JSON, or damaged; export it again") from None
