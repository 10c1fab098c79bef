"""The Card: what a Bundle says of itself, kept as JSON inside the file.

Whoever predicts, judges or serves learns everything from it: classes, geometry, calibration, operating points, gate,
where the network comes from and what it is not for. Reading is strict, so that a card is never half understood.
"""

from __future__ import annotations

import json
import types
from base64 import b64decode, b64encode
from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import MISSING, asdict, dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from hilum.radiograph.geometry import Geometry

FORMAT = 1
PREFIX_BYTES = 8
LARGEST = 1e300  # JSON may hold numbers that no float does


class BundleError(ValueError):
    """A bundle that cannot be read or used so: one line naming the file, the reason and what to do."""


@dataclass(frozen=True, slots=True)
class OperatingPoint:
    """A threshold with a name. The decision is pneumonia where the probability is at least the threshold."""

    name: str
    threshold: float
    rule: str
    sensitivity: float  # both on validation
    specificity: float


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores became probabilities. It is done inside the graph; this records what was done and what it changed.

    `x` and `y`: for platt x = [a, b] of sigmoid(a * s + b), s being the logit of the positive probability; for isotonic
    the knots x -> y of the positive probability.
    """

    method: Literal["none", "temperature", "platt", "isotonic"]
    temperature: float
    x: list[float]
    y: list[float]
    figures: dict[str, float]


@dataclass(frozen=True, slots=True)
class GateCard:
    """When a film is turned away. `distance_false_rejection`: the share of validation films that the limit rejects."""

    distance_false_rejection: float
    turned_limit: float  # P(turned, inverted or no chest film) above it rejects
    films: int
    note: str


@dataclass(frozen=True, slots=True)
class BoxCard:
    """How a detector's boxes come about, all of it chosen on validation films.

    A score says how likely its box overlaps a true one by more than half: the sigmoid of `calibration`'s three numbers
    a, b, c in a * box + b * film + c, where box and film are logits of the network, that of the film being for the
    positive classes. Of boxes that overlap by more than `nms_overlap` the best stays, its sides are multiplied by
    `shrinkage`, and it is shown from `threshold` on. These were chosen for films of which the share `prevalence` have
    boxes; None is that of validation.
    """

    threshold: float
    nms_overlap: float
    shrinkage: float
    most: int  # boxes a film
    calibration: list[float]
    figures: dict[str, float]  # of validation, at these settings
    prevalence: float | None = None


@dataclass(frozen=True, slots=True)
class Data:
    """What the network was trained on. `films` holds, for each split, the digests that `pack_digests` made short."""

    digest: str
    counts: dict[str, dict[str, int]]
    patients: dict[str, int]
    source: str
    license: str
    terms: str
    split_by: Literal["patient", "image", "unknown"]
    films: dict[str, str]

    def holds(self, digest: str) -> str | None:
        """The split that has a film of this file or pixel digest (hex), so that nobody judges on what was learned."""
        wanted = bytes.fromhex(digest)[:PREFIX_BYTES]
        for split, packed in self.films.items():
            prefixes = _unpack_digests(packed)
            place = bisect_left(prefixes, wanted)
            if place < len(prefixes) and prefixes[place] == wanted:
                return split
        return None


@dataclass(frozen=True, slots=True)
class Card:
    """All that a Bundle says of itself."""

    format: int
    task: Literal["classification", "detection"]
    name: str
    title: str
    classes: list[str]
    positive: list[str]  # the classes that mean pneumonia
    geometry: Geometry
    heatmap: str  # "class activation map", "Grad-CAM", or "none: " and why
    calibration: Calibration
    operating_points: list[OperatingPoint]
    default_point: str
    gate: GateCard | None
    recipe: dict[str, Any]
    data: Data
    figures: dict[str, dict[str, float]]
    versions: dict[str, str]
    made: str
    intended_use: str
    limits: list[str]
    notes: list[str]
    boxes: BoxCard | None = None  # of a detector

    def __post_init__(self) -> None:
        if (self.task == "detection") != (self.boxes is not None):
            raise BundleError("the card says of boxes what does not fit its task")
        if self.boxes is not None and len(self.boxes.calibration) != 3:
            raise BundleError("the card does not say how boxes were calibrated")
        if len(self.classes) < 1 or len(set(self.classes)) != len(self.classes):
            raise BundleError("the card's classes are not distinct names")
        if not self.positive or not set(self.positive) <= set(self.classes):
            raise BundleError("the card does not say which of its classes mean pneumonia")
        if self.default_point not in [point.name for point in self.operating_points]:
            raise BundleError(f"the card's default operating point {self.default_point!r} is not among its points")

    def point(self, name: str | None = None) -> OperatingPoint:
        """The operating point of this name, or the default one."""
        wanted = name or self.default_point
        for point in self.operating_points:
            if point.name == wanted:
                return point
        names = ", ".join(point.name for point in self.operating_points)
        raise BundleError(f"no operating point is called {wanted}; this bundle has {names}")

    def to_json(self) -> str:
        return json.dumps(asdict(self), ensure_ascii=False, allow_nan=False)


def card_from_json(text: str) -> Card:
    """The card that `to_json` wrote. Anything else raises a BundleError that does not name the file yet."""
    try:
        values = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BundleError("its card is damaged; get the file again from its source") from None
    stated = values.get("format") if isinstance(values, dict) else None
    if type(stated) is not int or stated < 1:
        raise BundleError("its card states no format; get the file again from its source")
    if stated > FORMAT:
        raise BundleError(f"its card has format {stated}, this hilum knows up to {FORMAT}; update hilum")
    card = _value(Card, values, "card")
    assert isinstance(card, Card)
    return card


def pack_digests(digests: Iterable[str]) -> str:
    """Hex digests as base64 of their sorted first 8 bytes: enough to recognize a film, short enough for a card."""
    prefixes = sorted({bytes.fromhex(digest)[:PREFIX_BYTES] for digest in digests})
    return b64encode(b"".join(prefixes)).decode("ascii")


@lru_cache(maxsize=16)
def _unpack_digests(packed: str) -> tuple[bytes, ...]:
    joined = b64decode(packed)
    return tuple(joined[start : start + PREFIX_BYTES] for start in range(0, len(joined), PREFIX_BYTES))


def _refuse_constant(name: str) -> None:
    raise ValueError(name)


def _value(hint: Any, value: Any, where: str) -> Any:
    """The value as the annotation wants it, or a BundleError that says where the card is wrong."""
    origin, options = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _build(hint, value, where)
    if origin in (Union, types.UnionType) and value is None:
        return None
    if origin in (Union, types.UnionType):
        return _value(options[0], value, where)
    if origin is Literal and value in options:
        return value
    if origin is list and isinstance(value, list):
        return [_value(options[0], item, where) for item in value]
    if origin is dict and isinstance(value, Mapping):
        return {key: _value(options[1], item, f"{where}.{key}") for key, item in value.items()}
    if hint is float and type(value) in (int, float) and abs(value) < LARGEST:
        return float(value)
    if hint is Any or (hint in (int, str) and type(value) is hint):
        return value
    raise BundleError(f"its card is damaged at {where}; get the file again from its source")


def _build(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    hints = get_type_hints(kind)
    parts = fields(kind)
    if unknown := sorted(set(values) - {part.name for part in parts}):
        raise BundleError(f"its card has {where}.{unknown[0]}, which this hilum does not know; update hilum")
    if missing := [part.name for part in parts if part.name not in values and part.default is MISSING]:
        raise BundleError(f"its card lacks {where}.{missing[0]}; make the bundle again with `hilum export`")
    made = {key: _value(hints[key], value, f"{where}.{key}") for key, value in values.items()}
    try:
        return kind(**made)
    except BundleError:
        raise
    except ValueError as error:  # a geometry out of its bounds
        raise BundleError(f"its card is damaged at {where}: {error}") from None
