"""Parquet files of unknown origin."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import polars as pl


def read_parquet(path: Path, refusal: type[ValueError]) -> pl.DataFrame:
    """Read a Parquet table; a file that is none, or damaged, raises `refusal`."""
    content = BytesIO(path.read_bytes())  # polars names no file in the errors of its own opening
    try:
        return pl.read_parquet(content)
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):  # some damage makes it panic
        raise refusal(f"{path}: no Parquet file, or a damaged one; write it again") from None
