"""On which side of a data set a film is: what it is for, wherever a split is asked for."""

from __future__ import annotations

import polars as pl


def side_of_film() -> pl.Expr:
    """`split` of a manifest that was split, else the split that its films came with.

    Never the one for a film and the other for the next: splitting leaves films out that are linked to a test, and an
    official "train" would bring them back.
    """
    was_split = pl.col("split").is_not_null().any()
    return pl.when(was_split).then(pl.col("split")).otherwise(pl.col("official_split"))
