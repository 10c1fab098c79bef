"""The audit as one HTML page that needs nothing else: every finding, with pictures of the films it is about."""

from __future__ import annotations

import base64
from html import escape
from pathlib import PurePosixPath
from string import Template
from typing import Any

import cv2
import numpy as np

from hilum.dataset.audit.films import AuditedFilms
from hilum.dataset.audit.finding import AuditReport, Finding, counted
from hilum.dataset.audit.page_style import STYLE
from hilum.system.text import printable

MOST_GROUPS, MOST_IN_A_GROUP = 24, 8
SIDE, JPEG_QUALITY = 168, 80
BOX = (0, 190, 255)  # blue, green, red

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>hilum audit</title>
<style>$style</style>
</head>
<body>
<header>
<h1>Audit of a data set</h1>
<p>$films of $patients. $verdict</p>
<p class="quiet">Research use only, not a medical device. Data set $digest.</p>
</header>
<nav aria-label="Findings"><table>
<thead><tr><th>Severity</th><th>Finding</th><th>What was found</th><th>What to do</th></tr></thead>
<tbody>
$rows</tbody>
</table></nav>
<main>
$sections</main>
</body>
</html>
""")
ROW = Template("""<tr><td><span class="severity $severity">$severity</span></td>\
<td><a href="#$kind">$title</a></td><td>$sentence</td><td class="quiet">$advice</td></tr>
""")
SECTION = Template("""<section id="$kind">
<h2>$title <span class="severity $severity">$severity</span></h2>
<p>$sentence</p>
<p class="advice">$advice</p>
$figures$groups</section>
""")
FILM = Template("""<figure>$picture<figcaption><span class="path">$path</span><br>$words</figcaption></figure>""")


def write_audit_page(report: AuditReport, films: AuditedFilms) -> str:
    """The page as text. Of what is known of a film it shows path, label and split, and nothing of its patient."""
    verdict = "Something would leak." if report.leaks else "Nothing was found that would leak."
    page = PAGE.substitute(
        style=STYLE,
        films=counted(report.films, "film"),
        patients=counted(report.patients, "patient"),
        verdict=verdict,
        digest=escape(report.digest),
        rows="".join(_row(finding) for finding in report.findings),
        sections="".join(_section(finding, films) for finding in report.findings),
    )
    return printable(page, keep="\n")


def _row(finding: Finding) -> str:
    return ROW.substitute(
        severity=finding.severity,
        kind=finding.kind,
        title=_title(finding),
        sentence=escape(finding.sentence),
        advice=escape(finding.advice),
    )


def _section(finding: Finding, films: AuditedFilms) -> str:
    row_of = {path: row for row, path in enumerate(films.paths)}
    shown = finding.groups[:MOST_GROUPS]
    # Copies stand together in a frame; films that have nothing to do with each other stand in one grid.
    if any(len(group) > 1 for group in finding.groups):
        framed = "".join(f'<div class="group">{_group(group, finding, films, row_of)}</div>\n' for group in shown)
        groups = f'<div class="groups">{framed}</div>\n'
        left = counted(len(finding.groups) - len(shown), "more group")
    else:
        films_shown = "".join(_group(group, finding, films, row_of) for group in shown)
        groups = f'<div class="films">{films_shown}</div>\n' if shown else ""
        left = counted(len(finding.groups) - len(shown), "more film")
    if len(finding.groups) > len(shown):
        groups += f'<p class="quiet">and {left}</p>\n'
    return SECTION.substitute(
        kind=finding.kind,
        title=_title(finding),
        severity=finding.severity,
        sentence=escape(finding.sentence),
        advice=escape(finding.advice),
        figures=_bars(finding.figures.get("auc_of_each", {})),
        groups=groups,
    )


def _title(finding: Finding) -> str:
    return escape(finding.kind.replace("_", " ").capitalize())


def _bars(aucs: dict[str, float]) -> str:
    """How well each fact of the file alone tells the classes apart, whichever way round it does."""
    if not aucs:
        return ""
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{auc:.2f}</td>"
        f'<td class="scale"><div class="bar" style="width:{200 * (auc - 0.5):.0f}%"></div></td></tr>'
        for name, auc in aucs.items()
    )
    caption = "AUC of each alone: 0.5 tells nothing, 1 everything"
    return f'<table class="bars"><caption>{caption}</caption><tbody>{rows}</tbody></table>\n'


def _group(group: tuple[str, ...], finding: Finding, films: AuditedFilms, row_of: dict[str, int]) -> str:
    shown = "".join(_film(path, finding, films, row_of[path]) for path in group[:MOST_IN_A_GROUP])
    if len(group) > MOST_IN_A_GROUP:
        shown += f'<p class="quiet">and {counted(len(group) - MOST_IN_A_GROUP, "more film")}</p>'
    return shown


def _film(path: str, finding: Finding, films: AuditedFilms, row: int) -> str:
    film = films.table.row(row, named=True)
    known = {name: of[path] for name, of in finding.figures.items() if isinstance(of, dict) and path in of}
    words = [film["label"] or "no label", films.sides[row] or "", *(_word(name, it) for name, it in known.items())]
    shown = "/".join(PurePosixPath(path).parts[-3:])  # where a data set lies is nobody's concern
    return FILM.substitute(
        picture=film_picture(films, row, film["boxes"] or [] if "boxes" in finding.kind else [], shown),
        path=escape(shown).replace("/", "/<wbr>"),
        words=escape(" · ".join(word for word in words if word)),
    )


def _word(name: str, value: Any) -> str:
    """A number says what it is of: 7.5 times usual scatter."""
    return f"{value:g} {name.replace('_', ' ')}" if isinstance(value, float) else str(value)


def film_picture(films: AuditedFilms, row: int, boxes: list[list[float]], name: str) -> str:
    """A small picture of a film as HTML that needs no file, with boxes in fractions of it."""
    if films.picture[row] < 0:
        return '<div class="missing">cannot be read</div>'
    stored = int(films.store.rows([films.table["file_digest"][row]])[0])
    shown = cv2.resize(np.asarray(films.store.pixels[stored]), (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    if boxes:
        shown = cv2.cvtColor(shown, cv2.COLOR_GRAY2BGR)
        for x, y, width, height in boxes:
            corners = np.rint(np.array([x, y, x + width, y + height]) * SIDE).astype(int).tolist()
            cv2.rectangle(shown, corners[:2], corners[2:], BOX, 1)
    _, encoded = cv2.imencode(".jpg", shown, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    data = base64.b64encode(encoded.tobytes()).decode()
    return f'<img src="data:image/jpeg;base64,{data}" width="{SIDE}" height="{SIDE}" alt="chest film {escape(name)}">'
