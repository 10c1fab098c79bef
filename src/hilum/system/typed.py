"""Typed values from plain data: dataclasses made of what TOML or JSON hold, with every key and every value checked.

What does not fit is a MisfitError that says where. Whoever reads (a recipe, a card) turns it into an error of its own
kind and in its own words.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

Made = TypeVar("Made")
SECTION = "a section"
LARGEST = 1e300  # JSON and TOML may hold numbers that no float does


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a number may be, beside the field that holds it: `rate: Annotated[float, Bounds(above=0)]`.

    On a pair of numbers it bounds both, and the first may not be the larger.
    """

    lowest: float | None = None
    highest: float | None = None
    above: float | None = None
    below: float | None = None
    step: int | None = None  # the number is a multiple of it

    def hold(self, value: float) -> bool:
        """Whether the value is within."""
        return (
            (self.lowest is None or value >= self.lowest)
            and (self.highest is None or value <= self.highest)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
            and (self.step is None or value % self.step == 0)
        )

    def __str__(self) -> str:
        starts = f"above {self.above}" if self.above is not None else ""
        ends = f"below {self.below}" if self.below is not None else ""
        if self.lowest is not None:
            starts = f"from {self.lowest}" if ends or self.highest is not None else f"from {self.lowest} up"
        if self.highest is not None:
            ends = f"to {self.highest}"
        words = f"{starts}{' and ' if starts and self.below is not None else ' '}{ends}".strip()
        return words if self.step is None else f"{words}, a multiple of {self.step}"


class MisfitError(ValueError):
    """Plain data that does not fit, and `where`, as the path of its keys."""

    def __init__(self, where: str) -> None:
        super().__init__(where)
        self.where = where


class UnknownKeyError(MisfitError):
    """A key that is not one of those `known` there."""

    def __init__(self, where: str, key: str, known: list[str]) -> None:
        super().__init__(where)
        self.key, self.known = key, known


class MissingKeyError(MisfitError):
    """A key that must be there."""


class WrongValueError(MisfitError):
    """A value that is not of the type that `hint` says."""

    def __init__(self, where: str, value: Any, hint: Any) -> None:
        super().__init__(where)
        self.value, self.hint = value, hint


class RefusedError(MisfitError):
    """Values of the right types that a dataclass refuses all the same, for its `reason`."""

    def __init__(self, where: str, reason: ValueError) -> None:
        super().__init__(where)
        self.reason = reason


def build(kind: type[Made], values: Any, where: str = "") -> Made:
    """A dataclass of this kind from a table of plain values; `where` the table stands, for errors."""
    return cast("Made", _value(kind, values, where))


def _value(hint: Any, value: Any, where: str) -> Any:
    if get_origin(hint) is Annotated:
        try:
            return _value(get_args(hint)[0], value, where)
        except WrongValueError as wrong:
            raise WrongValueError(wrong.where, wrong.value, hint) from None
    origin, options = get_origin(hint), get_args(hint)
    if is_dataclass(hint) and isinstance(value, Mapping):
        return _build(hint, value, where)
    if origin in (Union, types.UnionType):
        return _one_of(options, hint, value, where)
    if origin is Literal and value in options:
        return value
    if origin is list and isinstance(value, list):
        if (plain := _plain_numbers(options[0], value)) is not None:
            return plain
        return [_value(options[0], item, dotted(where, number)) for number, item in enumerate(value)]
    if origin is tuple and isinstance(value, (list, tuple)) and len(value) == len(options):
        parts = zip(options, value, strict=True)
        return tuple(_value(option, item, dotted(where, number)) for number, (option, item) in enumerate(parts))
    if origin is dict and isinstance(value, Mapping):
        return {key: _value(options[1], item, dotted(where, key)) for key, item in value.items()}
    if hint is float and type(value) in (int, float) and abs(value) < LARGEST:
        return float(value)
    if hint is Any or (hint in (int, str, bool, type(None)) and type(value) is hint):
        return value
    raise WrongValueError(where, value, hint)


def _plain_numbers(hint: Any, values: list[Any]) -> list[Any] | None:
    """Long lists of numbers take no time where nothing is wrong; None where they are to be looked at one by one."""
    if hint is int:
        return values if all(type(value) is int for value in values) else None
    if hint is float and all(type(value) in (int, float) and abs(value) < LARGEST for value in values):
        return [float(value) for value in values]
    return None


def _one_of(options: tuple[Any, ...], hint: Any, value: Any, where: str) -> Any:
    if isinstance(value, Mapping):
        # A table is meant for the dataclass among them, whose own errors say more than that none fits.
        options = tuple(option for option in options if is_dataclass(option)) or options
        if len(options) == 1:
            return _value(options[0], value, where)
    for option in options:
        try:
            return _value(option, value, where)
        except MisfitError:
            continue
    raise WrongValueError(where, value, hint)


def _build(kind: Any, values: Mapping[str, Any], where: str) -> Any:
    parts = fields(kind)
    known = [part.name for part in parts]
    for key in values:
        if key not in known:
            raise UnknownKeyError(dotted(where, key), key, known)
    for part in parts:
        if part.name not in values and part.default is MISSING and part.default_factory is MISSING:
            raise MissingKeyError(dotted(where, part.name))
    hints = hints_of(kind)
    made = {key: _value(hints[key], value, dotted(where, key)) for key, value in values.items()}
    try:
        return kind(**made)
    except ValueError as reason:
        raise RefusedError(where, reason) from reason


def out_of_bounds(held: Any, where: str = "") -> Iterator[str]:
    """What in a dataclass, and in all that it holds, is outside what its fields allow: a line for each."""
    hints = hints_of(held.__class__)
    for part in fields(held):
        yield from _outside(hints[part.name], getattr(held, part.name), dotted(where, part.name))


def _outside(hint: Any, value: Any, where: str) -> Iterator[str]:
    if hint is Any:
        return
    if is_dataclass(value):
        yield from out_of_bounds(value, where)
    elif isinstance(value, list):
        listed = next(option for option in (hint, *get_args(hint)) if get_origin(option) is list)
        for number, item in enumerate(value):
            yield from _outside(get_args(listed)[0], item, dotted(where, number))
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _outside(get_args(hint)[1], item, dotted(where, key))
    elif get_origin(hint) is tuple:
        for number, (option, item) in enumerate(zip(get_args(hint), value, strict=True)):
            yield from _outside(option, item, dotted(where, number))
    elif not _holds(hint, value):
        yield f"{where} = {value}: must be {describe(hint)}"


def _holds(hint: Any, value: Any) -> bool:
    origin, options = get_origin(hint), get_args(hint)
    if origin is Annotated:
        numbers = value if isinstance(value, tuple) else (value,)
        bounds = next(note for note in options[1:] if isinstance(note, Bounds))
        return _holds(options[0], value) and all(map(bounds.hold, numbers)) and numbers[0] <= numbers[-1]
    if origin in (Union, types.UnionType):
        return any(_holds(option, value) for option in options)
    if origin is Literal:
        return value in options
    if hint is float:
        return isinstance(value, (int, float))
    return isinstance(value, hint) if isinstance(hint, type) else True


def describe(hint: Any) -> str:
    """What a field of this type may hold, in words."""
    words = _words(hint)
    return " or ".join([", ".join(words[:-1]), words[-1]]) if len(words) > 1 else words[0]


def _words(hint: Any) -> list[str]:
    origin, options = get_origin(hint), get_args(hint)
    if origin is Annotated:
        bounds = next(note for note in options[1:] if isinstance(note, Bounds))
        return [
            f"two numbers {bounds}, the smaller first"
            if get_origin(options[0]) is tuple
            else f"{describe(options[0])} {bounds}"
        ]
    if origin in (Union, types.UnionType):
        return [word for option in options for word in _words(option)]
    if origin is Literal:
        return [str(option) for option in options]
    if origin in (list, tuple):
        return [f"a list{f' of {len(options)}' if origin is tuple else ''}, each {describe(options[0])}"]
    if origin is dict:
        return [f"a table, every value {describe(options[1])}"]
    names = {int: "a whole number", float: "a number", str: "text", bool: "true or false", type(None): "left out"}
    return [names.get(hint, SECTION)]


def dotted(where: str, key: str | int) -> str:
    """The path of a key below `where`."""
    return f"{where}.{key}" if where else str(key)


@cache
def hints_of(kind: Any) -> dict[str, Any]:
    """The types of a dataclass's fields, with their Bounds."""
    return get_type_hints(kind, include_extras=True)
