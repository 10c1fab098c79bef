"""What must be known before figures are believed: films the model has seen, and splits that are none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import polars as pl

from hilum.bundle.card import Card
from hilum.dataset.audit.finding import counted
from hilum.dataset.manifest.manifest import Manifest
from hilum.dataset.manifest.side import side_of_film
from hilum.measures.figure import EvaluationError


def choose(manifest: Manifest, split: str) -> pl.DataFrame:
    """The rows of a split (`split`, else `official_split`, as in training); `all` takes every row."""
    side = manifest.table.select(side=side_of_film())["side"]
    if split == "all":
        return manifest.table
    rows = manifest.table.filter((side == split).fill_null(False))
    if not rows.height:
        there = sorted(side.drop_nulls().unique().to_list())
        held = f"the splits here are {', '.join(there)}" if there else "no film is in any split"
        raise EvaluationError(f"no film is in split {split}: {held}; name one with --split, or --split all")
    return rows


def seen_films(card: Card, rows: pl.DataFrame) -> Counter[str]:
    """How many of these films the model was trained or calibrated on, by its split; known by file or by pixels."""
    return Counter(filter(None, where_seen(card, rows)))


def where_seen(card: Card, rows: pl.DataFrame) -> list[str | None]:
    """The split of the model's own data that each film was in; None of one that it never saw."""
    # A film encoded anew or renamed is another file with the same pixels.
    return [
        next((split for digest in digests if digest and (split := card.data.holds(digest))), None)
        for digests in rows.select("file_digest", "pixel_digest").iter_rows()
    ]


def _known_to(card: Card) -> Callable[[str], bool]:
    return lambda digest: card.data.holds(digest) is not None


def refuse_seen(seen: Counter[str], films: int, split: str) -> None:
    """Raise EvaluationError where the model knows any of the films: no figure of them would say anything."""
    if seen:
        listed = " and ".join(f"{count:,} from its {name} split" for name, count in sorted(seen.items()))
        raise EvaluationError(
            f"of the {films:,} films of split {split}, the model was trained or calibrated on {seen.total():,} "
            f"({listed}); judge it on other films, or stamp the report with --allow-training-films"
        )


def caveats(card: Card, manifest: Manifest, rows: pl.DataFrame, split: str) -> list[str]:
    """What a reader must know of how these films were set apart, in plain sentences."""
    sentences = []
    if card.local is not None and card.local.manifest == manifest.digest:
        sentences.append(
            "The bundle was calibrated to films of this very manifest: its thresholds fit these films better than new "
            "ones."
        )
    if card.data.split_by == "image":
        sentences.append(
            "The model's data were split by image, not by patient: films of one patient may be on both sides, and the "
            "figures flatter."
        )
    elif card.data.split_by == "unknown":
        sentences.append("How the model's data were split is not known; films of one patient may be on both sides.")
    side = side_of_film()
    others = manifest.table.filter((side != split) & side.is_not_null()) if split != "all" else manifest.table.head(0)
    shared = set(rows["patient"]) & set(others["patient"])
    if shared:
        sentences.append(
            f"{counted(len(shared), 'patient')} of this split {'has' if len(shared) == 1 else 'have'} films in other "
            "splits of the manifest as well: the figures may flatter."
        )
    # A split of the very data set that was trained on is no other hospital, however its patients were parted.
    learned = others.filter(pl.col("file_digest").map_elements(_known_to(card), pl.Boolean, skip_nulls=True))
    alike = rows.filter(pl.col("source").is_in(learned["source"].unique().implode(), nulls_equal=True)).height
    if alike:
        which = "These films" if alike == rows.height else f"{alike:,} of the {rows.height:,} films"
        sentences.append(
            f"{which} come from the same data set as those of training. On films from another hospital, figures are "
            "usually lower."
        )
    names = rows.select(pl.coalesce("pixel_digest", "file_digest")).to_series().drop_nulls()
    if copies := names.len() - names.n_unique():
        sentences.append(
            f"{counted(copies, 'film')} of this split {'is a copy' if copies == 1 else 'are copies'} of others in it."
        )
    # What could not be read has no pixels to know it by, and is judged no more than it was trained on.
    readable = rows.filter(pl.col("error").is_null())
    if readable["file_digest"].null_count() or readable["pixel_digest"].null_count():
        sentences.append(
            "The manifest does not hold the digests of all films, so training films among them may go unnoticed; "
            "`hilum data import` fills them in."
        )
    return sentences
