"""A Document as one HTML page that needs nothing else: no network, no script; for screen, phone and paper."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from html import escape
from string import Template

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
    Section,
    Table,
    Text,
    Tile,
)
from hilum.evaluation.report.page_style import STYLE
from hilum.evaluation.report.plots import Plot
from hilum.evaluation.report.words import NOTHING, percent
from hilum.system.text import printable

WIDE = 8  # columns, from which on cells may wrap
FEW_SECTIONS = 3  # need no list of their own
UNBROKEN = "\N{NO-BREAK SPACE}to\N{NO-BREAK SPACE}"  # between the ends of an interval

PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>$title · hilum</title>
<style>$style</style>
</head>
<body>
$stamp<header>
<p class="kind">hilum · $research_use</p>
<h1>$title</h1>
<p class="subtitle">$subtitle</p>
<div class="lead">
<div>
<p class="answer">$answer</p>
<dl class="tiles">
$tiles</dl>
</div>
$cautions</div>
</header>
$nav<main>
$sections</main>
<footer><p>$research_use</p></footer>
</body>
</html>
""")


def write_page(document: Document) -> str:
    """The document as one HTML page that needs no other file."""
    page = PAGE.substitute(
        style=STYLE,
        research_use=RESEARCH_USE,
        title=escape(document.title),
        subtitle=escape(document.subtitle),
        stamp=f'<p class="stamp" role="alert">{escape(document.stamp)}</p>\n' if document.stamp else "",
        answer=escape(document.answer),
        tiles="".join(map(_tile, document.tiles)),
        cautions=_cautions(document.cautions),
        nav=_nav(document.sections),
        sections="".join(map(_section, document.sections)),
    )
    return printable(page, keep="\n\t")  # of the texts in it, those of pictures drawn as SVG among them


def _nav(sections: Sequence[Section]) -> str:
    links = "".join(f'<li><a href="#{part.key}">{escape(part.title.partition(":")[0])}</a></li>\n' for part in sections)
    return f'<nav aria-label="Sections"><ul>\n{links}</ul></nav>\n' if len(sections) > FEW_SECTIONS else ""


def _tile(tile: Tile) -> str:
    return (
        f'<div><dt>{escape(tile.label)}</dt><dd><span class="value">{escape(tile.value)}</span>'
        f'<span class="sure">{escape(tile.interval)}</span>'
        f'<span class="detail">{escape(tile.detail)}</span></dd></div>\n'
    )


def _cautions(cautions: Sequence[str]) -> str:
    if not cautions:
        return ""
    items = "".join(f"<li>{escape(text)}</li>\n" for text in cautions)
    return f'<section class="cautions"><h2>Before you believe it</h2>\n<ul>\n{items}</ul></section>\n'


def _section(section: Section) -> str:
    blocks = "".join(map(_block, section.blocks))
    return f'<section id="{section.key}">\n<h2>{escape(section.title)}</h2>\n{blocks}</section>\n'


def _block(block: Block) -> str:
    match block:
        case Text(text, kind):
            return f'<p class="{kind}">{escape(text)}</p>\n'
        case Table():
            return _table(block)
        case Matrix():
            return _matrix(block)
        case Plots(plots):
            return f'<div class="plots">{"".join(map(_plot, plots))}</div>\n'
        case Code(text):
            return f"<pre><code>{escape(text)}</code></pre>\n"
        case Gallery():
            return _gallery(block)
        case Folded(summary, blocks):
            return f"<details><summary>{escape(summary)}</summary>\n{''.join(map(_block, blocks))}</details>\n"
        case Beside(columns, shares):
            inner = "".join(f"<div>{''.join(map(_block, column))}</div>\n" for column in columns)
            widths = " ".join(f"minmax(0, {share}fr)" for share in shares or [1] * len(columns))
            return f'<div class="beside" style="--columns:{widths}">\n{inner}</div>\n'


def _table(table: Table) -> str:
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in table.header)
    rows = "".join(
        f'<tr><th scope="row">{escape(row[0])}</th>'
        + "".join(f"<td>{escape(cell.replace(' to ', UNBROKEN) if table.numbers else cell)}</td>" for cell in row[1:])
        + "</tr>\n"
        for row in table.rows
    )
    kind = "words" if not table.numbers else "numbers" if len(table.header) < WIDE else "numbers wide"
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(table.caption)}"><table class="{kind}">'
        f"<caption>{escape(table.caption)}</caption>\n<thead><tr>{header}</tr></thead>\n<tbody>\n{rows}</tbody></table></div>\n"
    )


def _matrix(matrix: Matrix) -> str:
    """Each cell is tinted by its share of the row; the diagonal, where truth and call agree, in another color."""
    header = "".join(f'<th scope="col">{escape(name)}</th>' for name in matrix.calls)
    rows = "".join(
        f'<tr><th scope="row">{escape(name)} <span>{sum(counts):,}</span></th>'
        + "".join(_matrix_cell(matrix, row, column) for column in range(len(counts)))
        + "</tr>\n"
        for row, (name, counts) in enumerate(zip(matrix.truths, matrix.counts, strict=True))
    )
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{escape(matrix.caption)}"><table class="matrix">'
        f'<caption>{escape(matrix.caption)}</caption>\n<thead><tr><th scope="col">Films</th>{header}</tr></thead>\n'
        f"<tbody>\n{rows}</tbody></table></div>\n"
    )


def _matrix_cell(matrix: Matrix, row: int, column: int) -> str:
    count, of = matrix.counts[row][column], sum(matrix.counts[row])
    share = count / of if of else 0.0
    word = f"{escape(matrix.words[row][column])}<br>" if matrix.words else ""
    kind = "right" if row == column else "wrong"
    return (
        f'<td class="{kind}" style="--share:{share:.3f}"><b>{count:,}</b>'
        f"<span>{word}{percent(share) if of else NOTHING} of {of:,}</span></td>"
    )


def _plot(plot: Plot) -> str:
    svg = plot.svg().replace("<svg ", f'<svg role="img" aria-label="{escape(plot.says)}" ', 1)
    return f"<figure>{svg}<figcaption>{escape(plot.caption)}</figcaption></figure>"


def _gallery(gallery: Gallery) -> str:
    films = "".join(map(_film, gallery.films)) or f'<p class="hint">{escape(gallery.none)}</p>'
    kind = "films large" if any(film.shows != "heatmap" for film in gallery.films) else "films"
    return f'<h3>{escape(gallery.title)}</h3>\n<div class="{kind}">{films}</div>\n'


def _film(film: Film) -> str:
    pictures = _picture(film.film, f"chest film {film.name}")
    if film.overlay is not None:
        pictures += _picture(film.overlay, f"the same film with its {film.shows}, {film.name}")
    return (
        f'<figure class="film"><div class="pair">{pictures}</div>'
        f'<figcaption>{escape(film.words)}<br><span class="path">{escape(film.name)}</span></figcaption></figure>\n'
    )


def _picture(jpeg: bytes, alt: str) -> str:
    return f'<img src="data:image/jpeg;base64,{base64.b64encode(jpeg).decode()}" alt="{escape(alt)}">'
