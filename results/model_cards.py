"""The page docs/models/default.md: what the bundle that ships says of itself, and how it did on films it never saw.

    python results/model_cards.py FILMS.parquet docs/models

FILMS.parquet is what results/hilum_data.py writes. The first half of the page is `hilum show --md` without what hubs
read, the second what `hilum evaluate` says in its report, without films and plots. `make model` makes the bundle and
this page anew.
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
from hilum.bundle.shipped import DEFAULT, find_bundle
from hilum.dataset.manifest.manifest import Manifest, load_manifest
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.judge import Scope, judge
from hilum.evaluation.measure import measure
from hilum.evaluation.report.document import Folded, Section, Table, Text
from hilum.evaluation.report.gallery import Chosen
from hilum.evaluation.report.markdown import write_markdown
from hilum.evaluation.report.report import make_report
from hilum.evaluation.shortcut import metadata_alone

SECTIONS = ("decisions", "boxes", "heatmaps", "classes", "calibration", "subgroups", "abstentions")
KERMANY, NIH, SIIM = pl.col("source") == "kermany", of_rsna(), pl.col("source") == "siim-covid"
RSNA = pl.col("source") == "rsna"
SETS = {
    "children, Kermany's official test films": KERMANY,
    "adults, NIH films that RSNA's readers judged, of patients kept for testing": NIH,
    "adults, whole RSNA films of patients kept for testing": RSNA,
    "adults, SIIM's fold 0": SIIM,
}


def main() -> None:
    films, folder = load_manifest(sys.argv[1]), Path(sys.argv[2])
    folder.mkdir(exist_ok=True)
    lines = [of_itself()]
    for title, rows in SETS.items():
        lines.append(f"# Judged: {title}\n")
        lines += judged(Manifest(films.table.filter(rows), films.folder))
    lines.append(
        "# Made with\n\n    make model DATA=FOLDER    # kermany-224, siim-covid-256, nih-adult-256, rsna-256, lateral\n"
        "\n"
        "This page is made by results/model_cards.py from `hilum show --md` and `hilum evaluate`."
    )
    (folder / f"{DEFAULT}.md").write_text("\n".join(lines).rstrip() + "\n", encoding="utf-8")


def of_itself() -> str:
    path = find_bundle(DEFAULT)
    card, digest = hilum.load().card, read_model(path)[DIGEST]
    return as_markdown(card, sections(card, path.stat().st_size, digest))


def judged(films: Manifest) -> list[str]:
    """The report as lines; its title is the page's."""
    judgement = judge(hilum.load(), DataSet(films, DEFAULT), Scope("test"))
    report = make_report(measure(judgement, metadata_alone(judgement)), Chosen([], ""), [], "")
    kept = [in_words(section) for section in report.sections if section.key in SECTIONS]
    with tempfile.TemporaryDirectory() as folder:
        text = write_markdown(replace(report, sections=kept), Path(folder)).read_text(encoding="utf-8")
    return text.splitlines()[1:]


def in_words(section: Section) -> Section:
    return replace(section, blocks=[block for block in section.blocks if isinstance(block, Text | Table | Folded)])


if __name__ == "__main__":
    main()
