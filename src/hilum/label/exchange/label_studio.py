"""Label Studio's JSON: sides in percent of the film, a film's class as one of its choices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from hilum.dataset.readings.reading import Box
from hilum.label.exchange.labeled import Labeled, json_of
from hilum.label.films import RoomError

TASK = "image"


def read_label_studio(path: Path) -> list[Labeled]:
    """The films of an export, each with its latest annotation, or else its prediction. Raises RoomError."""
    content = json_of(path)
    try:
        return [_labeled(task) for task in content]
    except (KeyError, TypeError, ValueError, AttributeError):
        raise RoomError(f"{path}: not the tasks of Label Studio's JSON; export it as JSON, not JSON-MIN") from None


def label_studio(films: Sequence[Labeled]) -> list[dict[str, Any]]:
    """Films as tasks with one annotation each, as Label Studio imports them."""
    return [{"data": {TASK: film.film}, "annotations": [{"result": list(_results(film))}]} for film in films]


def _labeled(task: dict[str, Any]) -> Labeled:
    name = next(str(value) for value in task["data"].values() if isinstance(value, str))
    given = task.get("annotations") or task.get("predictions") or [{"result": []}]
    label, size, boxes = None, None, []
    for result in given[-1]["result"]:
        value = result["value"]
        if "choices" in value:
            label = str(value["choices"][0])
        elif {"x", "y", "width", "height"} <= value.keys():
            across, down = result["original_width"], result["original_height"]
            size = (across, down)
            x, y, width, height = (float(value[side]) / 100 for side in ("x", "y", "width", "height"))
            names = value.get("rectanglelabels") or [None]
            if width > 0 and height > 0:
                boxes.append(Box(x * across, y * down, width * across, height * down, names[0]))
    return Labeled(_path(name), label, boxes, size)


def _path(address: str) -> str:
    """What is served is named by its address there: /data/local-files/?d=films/a.png, or /data/upload/1/a.png."""
    parts = urlsplit(address)
    local = parse_qs(parts.query).get("d")
    return local[0] if local else unquote(parts.path) if parts.scheme or parts.path.startswith("/") else address


def _results(film: Labeled) -> Iterator[dict[str, Any]]:
    if film.label is not None:
        yield {"from_name": "choice", "to_name": TASK, "type": "choices", "value": {"choices": [film.label]}}
    if film.size is None:
        return
    across, down = film.size
    for box in film.boxes:
        sides = {
            "x": 100 * box.x / across,
            "y": 100 * box.y / down,
            "width": 100 * box.width / across,
            "height": 100 * box.height / down,
            "rotation": 0,
        }
        named = [name for name in (box.label or film.label,) if name is not None]
        yield {
            "from_name": "label",
            "to_name": TASK,
            "type": "rectanglelabels",
            "original_width": across,
            "original_height": down,
            "value": {**sides, "rectanglelabels": named},
        }
