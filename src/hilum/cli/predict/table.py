"""The rows that people read: aligned, colored and folded on a terminal, tab-separated in a pipe."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from hilum.output.table import COLUMNS, to_words
from hilum.system.text import printable

if TYPE_CHECKING:
    from hilum.bundle.prediction import Prediction
    from hilum.cli.terminal.files import Found
    from hilum.radiograph import Radiograph

STYLES = {"pneumonia": "33", "abstain": "35", "error": "31"}  # of a terminal: yellow, magenta, red
DECISION = COLUMNS.index("decision")


def table_writer(found: list[Found]) -> Callable[[Prediction, Radiograph | None], None]:
    """Prints the header, and then a row for each prediction."""
    if not sys.stdout.isatty():
        print("\t".join(COLUMNS))
        return lambda prediction, _: print("\t".join(map(printable, to_words(prediction))), flush=True)
    longest = max((len(printable(str(film.path))) for film in found), default=0)
    widths = _widths(shutil.get_terminal_size().columns, longest)
    _print_folded(COLUMNS, widths, lambda cell, _: _styled(cell, "1"))

    def write(prediction: Prediction, _: Radiograph | None) -> None:
        row = [printable(cell) for cell in to_words(prediction)]
        style = STYLES.get(row[DECISION])
        _print_folded(row, widths, lambda cell, place: _styled(cell, style) if place == DECISION else cell)

    return write


def _print_folded(row: Sequence[str], widths: dict[int, int], paint: Callable[[str, int], str]) -> None:
    """A row over as many lines as its longest cell needs."""
    folded = {place: _fold(row[place], width) for place, width in widths.items()}
    for number in range(max(map(len, folded.values()))):
        cells = {place: "".join(lines[number : number + 1]).ljust(widths[place]) for place, lines in folded.items()}
        print("  ".join(paint(cell, place) for place, cell in cells.items()).rstrip(), flush=True)


def _widths(terminal: int, longest: int) -> dict[int, int]:
    """The places in COLUMNS that a terminal has room for, and their widths; the notes get what is left."""
    file, decision, probability, classes, gate, notes = range(len(COLUMNS))
    widths = {file: 0, decision: 12, probability: 12}
    if terminal >= 140:
        widths[classes] = 30
    if terminal >= 100:
        widths[gate] = 16
    left = terminal - sum(widths.values()) - 2 * len(widths)
    widths[file] = min(max(longest, 4), max(left // 2, 12))
    return {**widths, notes: max(left - widths[file], 12)}


def _styled(text: str, code: str | None) -> str:
    return text if code is None or os.environ.get("NO_COLOR") else f"\x1b[{code}m{text}\x1b[0m"


def _fold(text: str, width: int) -> list[str]:
    """Lines of at most this width, broken at spaces where there are any."""
    lines = [""]
    for word in text.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) <= width:
            lines[-1] += " " + word
            continue
        pieces = [word[start : start + width] for start in range(0, len(word), width)]
        lines[-1:] = [*([lines[-1]] if lines[-1] else []), *(pieces or [""])]
    return lines
