"""Typed values from plain data: what fits is built, what does not is named by its place."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

import pytest

from hilum.system.typed import (
    Bounds,
    MissingKeyError,
    RefusedError,
    UnknownKeyError,
    WrongValueError,
    build,
    describe,
    hints_of,
    out_of_bounds,
)


@dataclass(frozen=True)
class Inner:
    side: Annotated[int, Bounds(2, 10, step=2)] = 4

    def __post_init__(self) -> None:
        if self.side == 8:
            raise ValueError("not eight")


@dataclass(frozen=True)
class Outer:
    name: str
    share: Annotated[float, Bounds(0, below=1)] = 0.5
    span: Annotated[tuple[float, float], Bounds(above=0)] = (1.0, 2.0)
    kind: Literal["a", "b"] | list[Annotated[float, Bounds(above=0)]] = "a"
    inner: Inner | None = None
    several: list[Inner] = field(default_factory=list)
    free: dict[str, Any] = field(default_factory=dict)
    shares: dict[str, Annotated[float, Bounds(above=0)]] = field(default_factory=dict)


def test_what_fits_is_built() -> None:
    values = {"name": "x", "share": 0, "span": [1, 3], "kind": [1], "inner": {"side": 2}, "several": [{}]}
    made = build(Outer, values | {"free": {"any": [None]}})
    assert made == Outer("x", 0.0, (1.0, 3.0), [1.0], Inner(2), [Inner(4)], {"any": [None]})
    assert isinstance(made.share, float)
    assert build(Outer, {"name": "x", "inner": None}) == Outer("x")


@pytest.mark.parametrize(
    ("values", "kind", "where"),
    [
        ({}, MissingKeyError, "root.name"),
        ({"name": "x", "nane": 1}, UnknownKeyError, "root.nane"),
        ({"name": 1}, WrongValueError, "root.name"),
        ({"name": "x", "share": True}, WrongValueError, "root.share"),
        ({"name": "x", "share": 10**400}, WrongValueError, "root.share"),
        ({"name": "x", "span": [1]}, WrongValueError, "root.span"),
        ({"name": "x", "kind": "c"}, WrongValueError, "root.kind"),
        ({"name": "x", "inner": {"size": 1}}, UnknownKeyError, "root.inner.size"),
        ({"name": "x", "several": [{}, {"side": "2"}]}, WrongValueError, "root.several.1.side"),
        ({"name": "x", "inner": {"side": 8}}, RefusedError, "root.inner"),
        ([], WrongValueError, "root"),
    ],
)
def test_what_does_not_fit_is_named_by_its_place(values: Any, kind: type[Exception], where: str) -> None:
    with pytest.raises(kind, match=f"^{where}$"):
        build(Outer, values, "root")


def test_bounds_are_looked_at_wherever_they_stand() -> None:
    outer = Outer(
        "x",
        share=1.0,
        span=(3.0, 2.0),
        kind=[1.0, 0.0],
        inner=Inner(12),
        several=[Inner(4), Inner(3)],
        shares={"a": 0.0},
    )
    assert list(out_of_bounds(outer, "root")) == [
        "root.share = 1.0: must be a number from 0 and below 1",
        "root.span = (3.0, 2.0): must be two numbers above 0, the smaller first",
        "root.kind.1 = 0.0: must be a number above 0",
        "root.inner.side = 12: must be a whole number from 2 to 10, a multiple of 2",
        "root.several.1.side = 3: must be a whole number from 2 to 10, a multiple of 2",
        "root.shares.a = 0.0: must be a number above 0",
    ]
    assert not list(out_of_bounds(Outer("x", kind=[0.5], inner=Inner(10))))


def test_fields_are_described_in_words() -> None:
    hints = hints_of(Outer)
    assert describe(hints["kind"]) == "a, b or a list, each a number above 0"
    assert describe(hints["inner"]) == "a section or left out"
