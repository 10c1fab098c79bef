"""Who is in which split: patients, ages, sexes, views, labels and sources side by side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import polars as pl

from hilum.bundle.card import Card
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.evaluation.journal.flow import UNSPLIT
from hilum.evaluation.report.document import Table
from hilum.evaluation.report.words import NOTHING, percent

USUAL = ("train", "val", "test")
MOST = 12  # values of a column
LISTED = {"sex": "Sex", "view": "View", "label": "Label", "source": "Source"}
NOT_KNOWN = "not known"
OF_CARD = "learned from (bundle)"


def participants(manifest: Manifest, card: Card) -> Table:
    """A column for each split of the manifest; where the model learned from other films, what its card says of them."""
    table = manifest.table.with_columns(side=side_of_film().fill_null(UNSPLIT))
    names = sorted(set(table["side"]), key=lambda name: (USUAL.index(name) if name in USUAL else 9, name))
    parts = [table.filter(pl.col("side") == name) for name in names]
    rows = [
        ["Films", *(f"{part.height:,}" for part in parts)],
        ["Patients", *(f"{part['patient'].n_unique():,}" for part in parts)],
        ["With pneumonia", *(_share(part, lambda each: int(each["pneumonia"].sum())) for part in parts)],
        ["Without a usable label", *(f"{part['pneumonia'].null_count():,}" for part in parts)],
        ["Age, median (quartiles)", *map(_ages, parts)],
        ["Age not known", *(_share(part, lambda each: each["age"].null_count()) for part in parts)],
    ]
    for column, title in LISTED.items():
        counts = table[column].fill_null(NOT_KNOWN).value_counts(sort=True).rows()
        for value, _ in sorted(counts[:MOST]):
            rows.append([f"{title}: {value}", *(_share(part, _of(column, value)) for part in parts)])
    if card.data.digest == manifest.digest:
        return Table("Who is in which split", ["", *names], rows)
    learned = {split: sum(counts.values()) for split, counts in card.data.counts.items()}
    of_card = {"Films": f"{sum(learned.values()):,}"}
    if card.data.patients:
        of_card["Patients"] = ", ".join(f"{split} {count:,}" for split, count in card.data.patients.items())
    labels: Counter[str] = Counter()
    for by_label in card.data.counts.values():
        labels.update(by_label)
    of_card |= {f"Label: {label}": f"{count:,}" for label, count in labels.items()}
    header = ["", *names, OF_CARD]
    first = [row[0] for row in rows]
    others = [[name, *(["0"] * len(names)), cell] for name, cell in of_card.items() if name not in first]
    after = max((place for place, name in enumerate(first, 1) if name.startswith("Label: ")), default=len(first))
    rows = [[*row, of_card.get(row[0], NOTHING)] for row in rows]
    return Table("Who is in which split", header, [*rows[:after], *others, *rows[after:]])


def _of(column: str, value: str) -> Callable[[pl.DataFrame], int]:
    return lambda part: int((part[column].fill_null(NOT_KNOWN) == value).sum())


def _share(part: pl.DataFrame, count: Callable[[pl.DataFrame], int]) -> str:
    films = int(count(part))
    return f"{films:,} ({percent(films / part.height)})" if films else "0"


def _ages(part: pl.DataFrame) -> str:
    ages = part["age"].drop_nulls()
    if not len(ages):
        return NOTHING
    low, middle, high = (ages.quantile(share, "linear") for share in (0.25, 0.5, 0.75))
    return f"{middle:.0f} ({low:.0f} to {high:.0f})"
