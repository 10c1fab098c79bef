"""Rows for people: a drawn table on a terminal, tab-separated lines where the output is piped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.markup import escape
from rich.table import Column, Table

from hilum.cli.terminal.console import Console
from hilum.system.text import printable


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], console: Console | None = None) -> None:
    """A table for people on a terminal, and tab-separated lines for programs anywhere else."""
    console = console or Console()
    if not console.is_terminal:
        for row in (columns, *rows):
            print("\t".join(map(one_line_cell, row)))
        return
    table = Table(*(Column(name, overflow="fold") for name in columns), header_style="bold")
    for row in rows:
        table.add_row(*(escape(printable(cell)) for cell in row))
    console.print(table)


def one_line_cell(cell: str) -> str:
    """A cell of a row that is one line with tabs between its cells."""
    return printable(cell.replace("\t", " ").replace("\n", " "))
