"""What a report is made of, before it is a page or Markdown: sections of text, tables, plots and films."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from hilum.evaluation.report.plots import Plot


@dataclass(frozen=True, slots=True)
class Text:
    """A paragraph. A caution is what a reader must not miss; a hint explains and may be passed over."""

    text: str
    kind: Literal["plain", "caution", "hint"] = "plain"


@dataclass(frozen=True, slots=True)
class Table:
    """The first cell of a row heads it. `numbers` says that all others are figures, set in columns."""

    caption: str
    header: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: bool = True


@dataclass(frozen=True, slots=True)
class Matrix:
    """How films of each true class (rows) were called (columns). `words` say what a cell means, where there are any."""

    caption: str
    truths: Sequence[str]
    calls: Sequence[str]
    counts: Sequence[Sequence[int]]
    words: Sequence[Sequence[str]] = ()


@dataclass(frozen=True, slots=True)
class Plots:
    """Figures under each other."""

    plots: Sequence[Plot]


@dataclass(frozen=True, slots=True)
class Code:
    """Lines to be typed, as they stand."""

    text: str


@dataclass(frozen=True, slots=True)
class Film:
    """A film as a small JPEG, the same with what `shows` names where there is such, and what is said of it."""

    name: str
    words: str
    film: bytes
    overlay: bytes | None
    shows: Literal["heatmap", "boxes", "lungs"] = "heatmap"


@dataclass(frozen=True, slots=True)
class Gallery:
    """Films under one title."""

    title: str
    films: Sequence[Film]
    none: str  # what is said where there are no films


@dataclass(frozen=True, slots=True)
class Folded:
    """Detail that is closed at first, and open in print."""

    summary: str
    blocks: Sequence[Text | Table]


Column = Text | Table | Matrix | Plots | Folded  # what may stand beside something else


@dataclass(frozen=True, slots=True)
class Beside:
    """Columns of blocks beside each other where there is room, one after the other where there is not.

    `shares` are the columns' widths, alike if left out.
    """

    columns: Sequence[Sequence[Column]]
    shares: Sequence[int] = ()


Block = Column | Code | Gallery | Beside


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document; `key` is its anchor, by which a link finds it."""

    key: str
    title: str
    blocks: Sequence[Block]


@dataclass(frozen=True, slots=True)
class Tile:
    """A figure of the first screen: what it is, its value, how sure, and of what."""

    label: str
    value: str
    interval: str
    detail: str


@dataclass(frozen=True, slots=True)
class Document:
    """`stamp` is what makes all figures invalid, if anything does; it stands across the top."""

    title: str
    subtitle: str
    stamp: str
    answer: str
    tiles: Sequence[Tile]
    cautions: Sequence[str]
    sections: Sequence[Section]
