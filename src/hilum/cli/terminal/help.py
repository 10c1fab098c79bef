"""The page that a command shows for --help: of one kind, whether typer or argparse reads what is typed."""

from __future__ import annotations

import shutil
import textwrap
from collections.abc import Iterable, Mapping, Sequence

Rows = Sequence[tuple[str, str]]
# Terms longer than this stand on a line of their own.
LONG_TERM = 26


def help_page(usage: str, text: str, sections: Mapping[str, Rows]) -> str:
    """Usage, paragraphs folded to the terminal, and sections of terms with what each is for."""
    width = max(min(shutil.get_terminal_size().columns, 80), 40)
    lines = [_folded(usage, width, "Usage: ", " " * 9)]
    for paragraph in text.strip().split("\n\n"):
        lines += ["", _folded(" ".join(paragraph.split()), width, "  ", "  ")]
    for title, rows in sections.items():
        lines += ["", f"{title}:", *_listed(rows, width)]
    return "\n".join(lines) + "\n"


def _listed(rows: Rows, width: int) -> Iterable[str]:
    column = 4 + max((len(term) for term, _ in rows if len(term) <= LONG_TERM), default=8)
    for term, text in rows:
        lead = f"  {term}".ljust(column)
        if len(term) > LONG_TERM:
            yield lead
            lead = " " * column
        yield _folded(text, width, lead, " " * column)


def _folded(text: str, width: int, first: str, others: str) -> str:
    return textwrap.fill(
        text, width, initial_indent=first, subsequent_indent=others, break_on_hyphens=False, break_long_words=False
    )
