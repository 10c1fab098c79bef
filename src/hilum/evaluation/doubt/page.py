"""Labels in doubt as one HTML page that needs nothing else: how many are wrong, and pictures, the worst first."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from itertools import groupby
from pathlib import PurePosixPath
from string import Template
from typing import TYPE_CHECKING

from hilum.bundle.prediction import RESEARCH_USE
from hilum.dataset.audit.finding import counted
from hilum.dataset.audit.page import film_picture
from hilum.dataset.audit.page_style import STYLE
from hilum.evaluation.doubt.suspects import BOXES, COPIES, MODEL, Suspect
from hilum.system.text import printable

if TYPE_CHECKING:
    from hilum.evaluation.doubt.doubt import Doubts

MOST = 120  # films with pictures in a section
PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hilum: labels in doubt</title>
<style>$style
.numbers td:nth-child(n+2), .numbers th:nth-child(n+2) { text-align: right; font-variant-numeric: tabular-nums; }
.numbers th, .numbers td { padding: .25rem 1.25rem .25rem 0; text-align: left; }
.numbers tr { border-bottom: 1px solid var(--line); }
.numbers th, .numbers td { white-space: nowrap; } .numbers tr > :last-child { padding-right: 0; }
.wide { overflow-x: auto; margin-top: 1rem; }
.change { color: var(--warning); font-weight: 600; }
</style>
</head>
<body>
<header>
<h1>Labels in doubt</h1>
<p>$films of $patients; $suspects in doubt. Opinion: $origin.</p>
$notes<p class="quiet">A list to look at, no list of errors: only someone who reads the film can say which label is
right. $research.</p>
</header>
<main>
$wrong$sections</main>
</body>
</html>
""")
WRONG = Template("""<section id="wrong">
<h2>How many labels are wrong</h2>
<p class="quiet">By confident learning, intervals by a bootstrap over patients. Where the model errs \
with confidence, it counts a right label as wrong: the weaker the model, the more the figure is too high.</p>
<div class="wide"><table class="numbers">
<thead><tr>$head</tr></thead>
<tbody>$rows</tbody>
</table></div>
</section>
""")
SECTION = Template("""<section id="$name">
<h2>$title</h2>
<p class="quiet">$words</p>
$films$left</section>
""")
FILM = Template("""<figure>$picture<figcaption><span class="path">$path</span><br>\
$given <span class="change">&rarr; $suggested</span> · $score<br>$reason</figcaption></figure>""")
SECTIONS = (
    (
        MODEL,
        "Labels that the model contradicts",
        "The worst first. After the arrow: what the model holds for likelier.",
    ),
    (COPIES, "The same film under different labels", "At least one of each group is wrong."),
    (BOXES, "Boxes and labels that contradict each other", "Which of the two is wrong is for a reader to say."),
)


def write_doubt_page(doubts: Doubts) -> str:
    """The page as text. Of what is known of a film it shows path and label, and nothing of its patient."""
    from hilum.evaluation.doubt.doubt import HEADER

    table = doubts.films.table
    wrong = WRONG.substitute(
        head=_cells("th", HEADER), rows="".join(f"<tr>{_cells('td', row)}</tr>\n" for row in doubts.summary())
    )
    page = PAGE.substitute(
        style=STYLE,
        films=counted(table.height, "film"),
        patients=counted(table["patient"].n_unique(), "patient"),
        suspects=counted(len(doubts.suspects), "label"),
        origin=escape(doubts.origin),
        notes="".join(f"<p>{escape(note[0].upper() + note[1:])}.</p>\n" for note in doubts.notes),
        research=RESEARCH_USE.rstrip("."),
        wrong=wrong if doubts.wrong else "",
        sections="".join(_section(doubts, *section) for section in SECTIONS),
    )
    return printable(page, keep="\n")


def _cells(tag: str, row: Sequence[str]) -> str:
    return "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in row)


def _section(doubts: Doubts, name: str, title: str, words: str) -> str:
    found = [suspect for suspect in doubts.suspects if name in suspect.found_by]
    if not found:
        return ""
    row_of = {path: row for row, path in enumerate(doubts.films.paths)}
    if name == COPIES:  # those that show the same stand together, in the order of their worst
        first = {suspect.copies: place for place, suspect in reversed(list(enumerate(found)))}
        found.sort(key=lambda suspect: first[suspect.copies])
        groups = groupby(found[:MOST], key=lambda suspect: suspect.copies)
        framed = "".join(f'<div class="group">{_films(doubts, list(group), row_of)}</div>\n' for _, group in groups)
        films = f'<div class="groups">{framed}</div>\n'
    else:
        films = f'<div class="films">{_films(doubts, found[:MOST], row_of)}</div>\n'
    left = len(found) - MOST
    more = f'<p class="quiet">and {counted(left, "more film")}</p>\n' if left > 0 else ""
    return SECTION.substitute(name=name, title=f"{title}: {len(found):,}", words=words, films=films, left=more)


def _films(doubts: Doubts, suspects: Sequence[Suspect], row_of: dict[str, int]) -> str:
    return "".join(_film(doubts, suspect, row_of[suspect.path]) for suspect in suspects)


def _film(doubts: Doubts, suspect: Suspect, row: int) -> str:
    shown = "/".join(PurePosixPath(suspect.path).parts[-3:])  # where a data set lies is nobody's concern
    boxes = doubts.films.table["boxes"][row]
    return FILM.substitute(
        picture=film_picture(doubts.films, row, [] if boxes is None else boxes.to_list(), shown),
        path=escape(shown).replace("/", "/<wbr>"),
        given=escape(suspect.label or "no label"),
        suggested=escape(suspect.suggested or "?"),
        score=f"{suspect.score:.2f}",
        reason=escape(suspect.reason),
    )
