"""The pages docs/models/*.md: what a bundle that ships says of itself, and how it did on films it never saw.

    python results/model_cards.py FILMS.parquet docs/models

FILMS.parquet is what results/model_data.py writes. The first half of a page is `hilum show NAME --md` without what hubs
read, the second what `hilum evaluate NAME` says in its report, without films and plots. `make model` makes the bundles
and these pages anew.
"""

from __future__ import annotations

import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import polars as pl
from detection import of_rsna

import hilum
from hilum.bundle.card_page import as_markdown, sections
from hilum.bundle.onnx_file import DIGEST, read_model
from hilum.bundle.shipped import BOXES, DEFAULT, find_bundle
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import Scope, judge
from hilum.evaluation.measure import measure
from hilum.evaluation.report.document import Folded, Section, Table, Text
from hilum.evaluation.report.gallery import Chosen
from hilum.evaluation.report.markdown import write_markdown
from hilum.evaluation.report.report import make_report
from hilum.evaluation.shortcut import metadata_alone

SECTIONS = ("decisions", "boxes", "classes", "calibration", "subgroups", "abstentions")
KERMANY, NIH, SIIM = pl.col("source") == "kermany", of_rsna(), pl.col("source") == "siim-covid"
SETS = {
    DEFAULT: {
        "children, Kermany's official test films": KERMANY,
        "adults, NIH films that RSNA's readers judged, of patients kept for testing": NIH,
        "adults, SIIM's fold 0": SIIM,
    },
    BOXES: {
        "adults, SIIM's fold 0": SIIM,
        "adults of another hospital, NIH films that RSNA's readers judged and drew boxes on": NIH,
    },
}


def main() -> None:
    films, folder = load_manifest(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    for name, sets in SETS.items():
        lines = [said_of_itself(name)]
        for title, rows in sets.items():
            lines.append(f"# Judged: {title}\n")
            # The detector never learned from NIH's films: all of them test it.
            everything = name == BOXES and rows is NIH
            lines += judged(name, Manifest(films.table.filter(rows), films.folder), "all" if everything else "test")
        lines.append(
            f"# Made with\n\n    make model DATA=FOLDER    # kermany-224, siim-covid-256 and nih-adult-256 in it\n\n"
            f"This page is made by results/model_cards.py from `hilum show {name} --md` and `hilum evaluate {name}`."
        )
        page = "\n".join(lines).rstrip() + "\n"
        (folder / f"{name}.md").write_text(page, encoding="utf-8")


def said_of_itself(name: str) -> str:
    path = find_bundle(name)
    card, digest = hilum.load(name).card, read_model(path)[DIGEST]
    return as_markdown(card, sections(card, path.stat().st_size, digest))


def judged(name: str, films: Manifest, split: str) -> list[str]:
    """The report as lines; its title is the page's."""
    judgement = judge(hilum.load(name), DataSet(films, name), Scope(split))
    report = make_report(measure(judgement, metadata_alone(judgement)), Chosen([], ""), [], "")
    kept = [in_words(section) for section in report.sections if section.key in SECTIONS]
    with tempfile.TemporaryDirectory() as folder:
        text = write_markdown(replace(report, sections=kept), Path(folder)).read_text(encoding="utf-8")
    return text.splitlines()[1:]


def in_words(section: Section) -> Section:
    return replace(section, blocks=[block for block in section.blocks if isinstance(block, Text | Table | Folded)])


if __name__ == "__main__":
    main()
