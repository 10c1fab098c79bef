"""A Reading: what one reader said of one film, and the line of JSON that keeps it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

from hilum.system.text import UNSAFE
from hilum.system.typed import Bounds, MisfitError, build, out_of_bounds

LONGEST_NAME = 80
Saw = Literal["nothing", "answer"]
Round = Literal["first", "adjudication"]


class Key(NamedTuple):
    """Of all readings with the same key the one given last counts."""

    reader: str
    film: str
    repeat: int
    round: Round


@dataclass(frozen=True, slots=True)
class Box:
    """A box in pixels of the film as `hilum.read` gives it, with the class it stands for, if any is meant."""

    x: float
    y: float
    width: float
    height: float
    label: str | None = None

    def __post_init__(self) -> None:
        if self.width <= 0 or self.height <= 0:
            raise ValueError("a box without width or height")


@dataclass(frozen=True, slots=True)
class Reading:
    """One reader's word on one film.

    `film` is its path as in the manifest, `digest` that of its file, `given` the time in UTC, `seconds` how long it
    was looked at. `saw` says whether the model's answer was to be seen before the reader's own, `repeat` is 1 for the
    second showing of a film, and `round` tells a reading from the settling of a difference. A reading that was
    `withdrawn` counts as not given.
    """

    reader: str
    film: str
    digest: str
    given: str
    seconds: Annotated[float, Bounds(lowest=0)]
    label: str | None = None
    readable: bool = True
    lateral: bool = False
    doubt: bool = False
    note: str = ""
    boxes: list[Box] = field(default_factory=list)
    saw: Saw = "nothing"
    repeat: Literal[0, 1] = 0
    round: Round = "first"
    withdrawn: bool = False

    def __post_init__(self) -> None:
        check_reader(self.reader)
        if not self.film:
            raise ValueError("no film")
        datetime.fromisoformat(self.given)

    @property
    def key(self) -> Key:
        """What a later reading must share to take this one's place."""
        return Key(self.reader, self.film, self.repeat, self.round)

    def to_line(self) -> str:
        """As one line of JSON, with its line end. Boxes are [x, y, width, height], and their class if they have one."""
        values = {part.name: getattr(self, part.name) for part in fields(self)}
        values["boxes"] = [
            [box.x, box.y, box.width, box.height, *([] if box.label is None else [box.label])] for box in self.boxes
        ]
        return json.dumps(values, allow_nan=False) + "\n"


def check_reader(name: str) -> None:
    """Refuse, as ValueError, what cannot be a reader's name."""
    if not name.strip() or name != name.strip() or len(name) > LONGEST_NAME or UNSAFE.search(name):
        raise ValueError(f"a reader's name is 1 to {LONGEST_NAME} letters, without control characters or spaces around")


def from_line(line: str | bytes) -> Reading:
    """The reading that a line holds. Raises ValueError where it holds none."""
    values = json.loads(line)
    if not isinstance(values, dict):
        raise ValueError("no table of values")
    return from_plain(values)


def from_plain(values: Mapping[str, Any]) -> Reading:
    """The reading in plain data, as a line of JSON holds it. Raises ValueError that says what does not fit."""
    boxes = values.get("boxes", [])
    if not isinstance(boxes, list):
        raise ValueError("boxes: no list")
    try:
        reading = build(Reading, {**values, "boxes": [_box_values(box) for box in boxes]})
    except MisfitError as misfit:
        reason = misfit.__cause__ or "missing, unknown or of a wrong kind"
        raise ValueError(f"{misfit.where}: {reason}" if misfit.where else str(reason)) from None
    for wrong in out_of_bounds(reading):
        raise ValueError(wrong)
    return reading


def _box_values(box: Any) -> dict[str, Any]:
    if not isinstance(box, list) or len(box) not in (4, 5):
        raise ValueError("boxes: each is [x, y, width, height], with its class after them if it has one")
    return dict(zip(("x", "y", "width", "height", "label"), box, strict=False))


def now() -> str:
    """This moment as `given` has it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")
