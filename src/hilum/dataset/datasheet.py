"""A datasheet of a manifest: what whoever gives films on is asked for, filled as far as the manifest knows.

The sections are those of Gebru et al., Datasheets for Datasets, Communications of the ACM 2021 (doi:10.1145/3458723);
the questions stand in few words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import polars as pl

from hilum import __version__
from hilum.dataset.audit.finding import counted
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.dataset.terms import TERMS, UNKNOWN, sources
from hilum.system.front_matter import front_matter

SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"))
LICENSES = {"CC BY 4.0": "cc-by-4.0"}  # by the names that hubs have for them
TAGS = ["chest-x-ray", "radiograph", "pneumonia", "medical-imaging"]
NOT_KNOWN, NO_SPLIT = "not known", "no split"
MOST = 12
SECTIONS = (
    "Motivation",
    "Composition",
    "Collection",
    "Preprocessing and labels",
    "Uses",
    "Distribution",
    "Maintenance",
)


class Question(NamedTuple):
    """`answer` is what the manifest knows, `yours` what is left to write."""

    section: str
    asks: str
    answer: str = ""
    yours: str = ""


def datasheet(manifest: Manifest, name: str) -> str:
    """The sheet as Markdown, with the block of metadata that data hubs read."""
    lines = [f"# Datasheet: {_plain(name)}", "", f"Data set {manifest.digest}, described by hilum {__version__}."]
    questions = list(_questions(manifest))
    for section in SECTIONS:
        lines += ["", f"## {section}", ""]
        for question in questions:
            if question.section == section:
                yours = f"*Yours to write: {question.yours}.*" if question.yours else ""
                lines.append(f"- **{question.asks}** {' '.join(filter(None, (_plain(question.answer), yours)))}")
        if section == "Composition":
            lines += ["", *_by_split(manifest.table)]
    return front_matter(_metadata(manifest, name)) + "\n".join(lines) + "\n"


def _metadata(manifest: Manifest, name: str) -> dict[str, Any]:
    kinds = sources(manifest)
    licenses = {TERMS[kind].license if kind in TERMS else "" for kind in kinds}
    known = LICENSES.get(licenses.pop()) if len(licenses) == 1 else None
    films = manifest.table.height
    tasks = ["image-classification"]
    if _boxes(manifest.table):
        tasks.append("object-detection")
    return {
        "pretty_name": name,
        "license": known or "other",
        **({} if known else {"license_name": "terms-of-the-owner"}),
        "task_categories": tasks,
        "size_categories": [next((words for below, words in SIZES if films < below), "n>1M")],
        "tags": TAGS,
    }


def _questions(manifest: Manifest) -> Iterator[Question]:
    table = manifest.table
    yield Question(
        "Motivation", "For what purpose, by whom, with whose money?", "", "why the films were brought together"
    )
    yield from _composition(table)
    yield Question("Collection", "How and when was each film taken?", _acquisition(table), "devices, protocol, dates")
    yield Question("Collection", "How were films sampled?", "", "all of some time and place, or by what choice")
    yield Question("Collection", "Who collected, and were they paid?", "", "people and their pay")
    yield Question(
        "Collection", "Ethical review and consent?", "", "the committee, its decision, what patients agreed to"
    )
    yield Question(
        "Preprocessing and labels",
        "What was done to the films?",
        "hilum left the files as they are and wrote a manifest: digests, sizes, labels, splits.",
        "what was done before, such as de-identification, resizing or encoding anew",
    )
    yield Question(
        "Preprocessing and labels",
        "How did labels and boxes come about?",
        f"Labels: {_counts(table, 'label')}. {_boxes(table) or 'No film has known boxes.'}",
        "who gave them, by what definition, and how far readers agree",
    )
    for kind in sources(manifest):
        if kind in TERMS:
            yield Question("Uses", f"What limits its use ({kind})?", TERMS[kind].limit)
        yield Question("Distribution", f"Terms ({kind})?", TERMS[kind].terms if kind in TERMS else f"{UNKNOWN}.")
    yield Question("Uses", "Where was it used, and where should it not be?", "", "papers, models, and uses to avoid")
    yield Question("Distribution", "How will it be given to others, and when?", "", "place, time, fees")
    yield Question("Maintenance", "Who keeps it, corrects it, and answers?", "", "a name, and how to reach them")
    yield Question(
        "Maintenance",
        "How does one know a version?",
        f"By its digest, {manifest.digest}, which changes with any label, split or file.",
    )


def _composition(table: pl.DataFrame) -> Iterator[Question]:
    section, patients = "Composition", table["patient"].n_unique()
    own = " Every film counts as a patient of its own." if patients == table.height else ""
    yield Question(
        section, "What are the instances?", f"{counted(table.height, 'film')} of {patients:,} patients.{own}"
    )
    yield Question(section, "Is it all of them or a sample?", "", "of which larger set, and how drawn")
    shown = [f"{title}: {_counts(table, column)}" for column, title in (("view", "views"), ("sex", "sexes"))]
    ages = table["age"].drop_nulls()
    if len(ages):
        low, middle, high = (ages.quantile(share, "linear") or 0.0 for share in (0.05, 0.5, 0.95))
        shown.append(f"ages: median {middle:.0f}, 90% from {low:.0f} to {high:.0f} years")
    yield Question(section, "Whom do they show?", f"{'; '.join(shown)}.", "what else is known of the patients")
    yield Question(section, "What is a label?", f"{_counts(table, 'label')}.")
    empty = {column: table[column].null_count() for column in ("label", "view", "sex", "age", "study")}
    listed = ", ".join(f"{column} of {count:,}" for column, count in empty.items() if count)
    yield Question(section, "What is missing?", f"{listed}." if listed else "No label, view, sex, age or study.")
    several = table.group_by("patient").len().filter(pl.col("len") > 1).height
    yield Question(section, "How do films hang together?", f"By patient: {several:,} patients have several films.")
    yield Question(section, "Are there recommended splits?", _splits(table))
    names = table.select(pl.coalesce("pixel_digest", "file_digest")).to_series().drop_nulls()
    broken = table["error"].drop_nulls().len()
    yield Question(
        section,
        "Errors, noise, copies?",
        f"{counted(len(names) - names.n_unique(), 'film')} with the pixels of another; {broken:,} that cannot be read. "
        "`hilum data audit` finds more.",
        "what else is known to be wrong",
    )
    yield Question(section, "Could patients be identified?", "", "whether headers and burned-in texts were cleared")


def _acquisition(table: pl.DataFrame) -> str:
    parts = [f"{column}: {_counts(table, column)}" for column in ("format", "encoding", "bits")]
    for column in ("width", "height"):
        sides = table[column].drop_nulls()
        if len(sides):
            low, high = (int(sides.quantile(share) or 0) for share in (0.0, 1.0))
            parts.append(f"{column} {low:,} to {high:,} pixels")
    return f"{'; '.join(parts)}."


def _splits(table: pl.DataFrame) -> str:
    sides = table.select("patient", side=side_of_film()).drop_nulls("side")
    if not sides.height:
        return "No film is in any split."
    parts = ", ".join(f"{name} {count:,}" for name, count in sorted(sides["side"].value_counts().rows()))
    both = sides.group_by("patient").agg(pl.col("side").n_unique()).filter(pl.col("side") > 1).height
    return f"{parts}; {counted(both, 'patient has', 'patients have')} films in several of them."


def _boxes(table: pl.DataFrame) -> str:
    known = table["boxes"].drop_nulls()
    boxes = int(known.list.len().sum())
    return f"Boxes are known of {counted(len(known), 'film')}: {boxes:,} in all." if len(known) else ""


def _by_split(table: pl.DataFrame) -> Iterator[str]:
    """Films by split and label, and patients."""
    named = table.select(
        "patient",
        side=side_of_film().fill_null(NO_SPLIT),
        label=pl.col("label").fill_null(NOT_KNOWN),
    )
    labels = [label for label, _ in named["label"].value_counts(sort=True).rows()][:MOST]
    yield _row(["Split", "Films", "Patients", *labels])
    yield _row(["---"] * (3 + len(labels)))
    for side in sorted(set(named["side"])):
        part = named.filter(pl.col("side") == side)
        films = [f"{int((part['label'] == label).sum()):,}" for label in labels]
        yield _row([side, f"{part.height:,}", f"{part['patient'].n_unique():,}", *films])


def _counts(table: pl.DataFrame, column: str) -> str:
    """The values of a column by how frequent they are."""
    counts = table[column].cast(pl.String).fill_null(NOT_KNOWN).value_counts(sort=True).rows()
    more = f", and {len(counts) - MOST:,} more" if len(counts) > MOST else ""
    return ", ".join(f"{value} {count:,}" for value, count in sorted(counts[:MOST], key=lambda row: -row[1])) + more


def _row(cells: list[str]) -> str:
    return "| " + " | ".join(map(_plain, cells)) + " |"


def _plain(text: str) -> str:
    """Texts of a manifest as text: nothing in them becomes markup."""
    for mark in ("\\", "*", "_", "<", ">", "|", "[", "]"):
        text = text.replace(mark, "\\" + mark)
    return " ".join(text.split())
