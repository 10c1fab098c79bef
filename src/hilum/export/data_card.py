"""What a card says of the films behind a network: how many, whose, on what terms, and how to know them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import polars as pl

from hilum.bundle.card import Card, DataCard, join_digests, pack_digests
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.terms import TERMS, UNKNOWN, sources


def describe_data(manifest: Manifest, digests: dict[str, Sequence[str]], start: Card | None = None) -> DataCard:
    """The card's part on data; `digests` are the file digests of the films that each split really used.

    The films behind the bundle that a network went on from, `start`, stay known as such.
    """
    used = {split: manifest.table.filter(pl.col("file_digest").is_in(list(files))) for split, files in digests.items()}
    kinds = sources(manifest)
    licenses = {kind: TERMS[kind].license if kind in TERMS else "unknown" for kind in kinds}
    terms = {kind: TERMS[kind].terms if kind in TERMS else UNKNOWN for kind in kinds}
    return DataCard(
        digest=manifest.digest,
        counts={split: _counts(table) for split, table in used.items()},
        patients={split: table["patient"].n_unique() for split, table in used.items()},
        source=", ".join(kinds),
        license=_each(licenses),
        terms=_each(terms),
        split_by=_split_by([table["patient"] for table in used.values()]),
        films={
            split: join_digests(
                [
                    pack_digests([*table["file_digest"], *table["pixel_digest"].drop_nulls()]),
                    "" if start is None else start.data.films.get(split, ""),
                ]
            )
            for split, table in used.items()
        },
    )


def limits_of(manifest: Manifest) -> list[str]:
    """What follows from the films for the use of a network."""
    known = [kind for kind in sources(manifest) if kind in TERMS]
    stated = [TERMS[kind].limit if len(known) == 1 else f"{kind}: {TERMS[kind].limit}" for kind in known]
    ages = manifest.table["age"].drop_nulls()
    if len(ages) > len(manifest.table) / 2:
        low, high = ages.quantile(0.01), ages.quantile(0.99)
        stated.append(f"Trained on patients of {low:.0f} to {high:.0f} years.")
    return stated


def _counts(table: pl.DataFrame) -> dict[str, int]:
    counted = table.group_by(pl.col("label").fill_null("unknown")).len().sort("label")
    return {str(label): int(count) for label, count in counted.iter_rows()}


def _split_by(patients: Sequence[pl.Series]) -> Literal["patient", "image", "unknown"]:
    """By image if a patient is in two splits; where every film has a patient of its own, nobody can tell."""
    whole = pl.concat(patients)
    if whole.n_unique() < sum(series.n_unique() for series in patients):
        return "image"
    return "unknown" if whole.n_unique() == len(whole) else "patient"


def _each(by_kind: dict[str, str]) -> str:
    """One text for one source; for several, each with its name before it."""
    return (
        next(iter(by_kind.values()))
        if len(by_kind) == 1
        else " ".join(f"{kind}: {text}" for kind, text in by_kind.items())
    )
