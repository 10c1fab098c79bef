"""A Document as Markdown with PNG and JPEG files beside it, for a model card."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from hilum.bundle.prediction import RESEARCH_USE
from hilum.evaluation.report.document import (
    Beside,
    Block,
    Code,
    Document,
    Film,
    Folded,
    Gallery,
    Matrix,
    Plots,
    Table,
    Text,
)
from hilum.evaluation.report.words import percent
from hilum.system.files import write_whole
from hilum.system.text import printable

PICTURES = "pictures"


def write_markdown(document: Document, folder: Path, name: str = "report.md") -> Path:
    """The text, and its pictures beside it; returns where the text is."""
    pictures = folder / PICTURES
    pictures.mkdir(parents=True, exist_ok=True)
    lines = [f"# {_plain(document.title)}", "", f"{RESEARCH_USE} {_plain(document.subtitle)}", ""]
    if document.stamp:
        lines += [f"**{_plain(document.stamp)}**", ""]
    lines += [_plain(document.answer), ""]
    tiles = [[tile.label, tile.value, tile.interval, tile.detail] for tile in document.tiles]
    lines += _table(Table("", ["Figure", "Value", "How sure", "Of"], tiles)) if tiles else []
    if document.cautions:
        lines += ["**Before you believe it**", "", *(f"- {_plain(text)}" for text in document.cautions), ""]
    for section in document.sections:
        lines += [f"## {_plain(section.title)}", ""]
        for block in section.blocks:
            lines += [*_block(block, pictures, section.key), ""]
    path = folder / name
    write_whole(path, printable("\n".join(lines).rstrip() + "\n", keep="\n"))
    return path


def _block(block: Block, pictures: Path, key: str) -> Iterator[str]:
    match block:
        case Text(text, kind):
            yield f"**{_plain(text)}**" if kind == "caution" else _plain(text)
        case Table():
            yield from _table(block)
        case Matrix():
            yield from _table(_as_table(block))
        case Code(text):
            yield f"```sh\n{text}\n```"
        case Plots(plots):
            for plot in plots:
                write_whole(pictures / f"{plot.name}.png", plot.png())
                yield f"![{_plain(plot.says)}]({PICTURES}/{plot.name}.png)"
                yield f"\n{_plain(plot.caption)}\n"
        case Folded(summary, blocks):
            yield f"{_plain(summary)}\n"
            for inner in blocks:
                yield from _block(inner, pictures, key)
        case Beside(columns):
            for column in columns:
                for part in column:
                    yield from _block(part, pictures, key)
        case Gallery(title, films, none):
            yield f"### {_plain(title)}\n"
            yield from (_films(films, pictures, f"{key}-{_slug(title)}") if films else [_plain(none)])


def _films(films: Sequence[Film], pictures: Path, key: str) -> list[str]:
    rows = []
    for number, film in enumerate(films, start=1):
        shown = []
        for kind, jpeg in (("film", film.film), (film.shows, film.overlay)):
            if jpeg is not None:
                name = f"{key}-{number}-{kind}.jpg"
                write_whole(pictures / name, jpeg)
                shown.append(f"![{kind} {_cell(film.name)}]({PICTURES}/{name})")
        rows.append(f"| {' '.join(shown)} | {_cell(film.words)}<br>{_cell(film.name)} |")
    return ["| Film | |", "|---|---|", *rows]


def _table(table: Table) -> list[str]:
    lines = [f"**{_plain(table.caption)}**", ""] if table.caption else []
    lines.append("| " + " | ".join(map(_cell, table.header)) + " |")
    lines.append("|" + "---|" * len(table.header))
    lines += ["| " + " | ".join(map(_cell, row)) + " |" for row in table.rows]
    return [*lines, ""]


def _as_table(matrix: Matrix) -> Table:
    rows = [
        [name, *(f"{count:,} ({percent(count / max(sum(counts), 1))})" for count in counts), f"{sum(counts):,}"]
        for name, counts in zip(matrix.truths, matrix.counts, strict=True)
    ]
    return Table(matrix.caption, ["Films", *matrix.calls, "All"], rows)


def _cell(text: str) -> str:
    return _plain(text).replace("|", "\\|")


def _plain(text: str) -> str:
    """Text as text: nothing that a file or a card says becomes markup."""
    text = " ".join(text.split())
    for mark in ("\\", "`", "*", "_", "[", "]", "<", ">", "#"):
        text = text.replace(mark, "\\" + mark)
    return text


def _slug(title: str) -> str:
    words = "".join(letter if letter.isalnum() else " " for letter in title.lower()).split()
    return "-".join(words[:3])
