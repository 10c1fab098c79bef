"""The Manifest: one row an image, the only thing that later stages ask about a data set."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import polars as pl

from hilum.dataset.manifest.check import SCHEMA, ManifestError, Rows, check, from_text, with_schema
from hilum.dataset.manifest.csv_table import read_csv
from hilum.dataset.manifest.parquet_table import read_parquet
from hilum.system.files import write_whole
from hilum.system.rows import FORMULA, NUMBER

__all__ = ["SCHEMA", "Manifest", "ManifestError", "load_manifest", "save_manifest"]

# What a film is and what is said of it. How the file is encoded follows from file_digest, and where it lies is no
# part of the data.
DIGESTED = (*[name for name in list(SCHEMA)[: list(SCHEMA).index("format")] if name != "path"], "file_digest")


@dataclass(frozen=True, slots=True, eq=False)
class Manifest:
    """A data set as a table: the columns of SCHEMA in that order, then any that the user added.

    Paths in the table are relative to `folder`. `notices` say what was assumed on loading.
    """

    table: pl.DataFrame
    folder: Path
    notices: tuple[str, ...] = ()

    def path(self, relative: str) -> Path:
        """Where a film of the table lies."""
        return self.folder / relative

    @property
    def digest(self) -> str:
        """One name for the content: the same whatever the order of the rows and wherever the data set lies."""
        # A film that was never scanned is known by its path alone.
        unscanned = pl.when(pl.col("file_digest").is_null()).then("path").alias("unscanned")
        rows = self.table.select(*DIGESTED, unscanned).rows()
        digest = hashlib.blake2b(digest_size=16)
        for line in sorted(json.dumps(row) for row in rows):
            digest.update(line.encode() + b"\n")
        return digest.hexdigest()


def load_manifest(path: str | os.PathLike[str]) -> Manifest:
    """Read and check a manifest (.parquet or .csv); everything wrong with it is named row by row in ManifestError."""
    path = Path(path)
    if _suffix(path) == ".parquet":
        rows = Rows(str(path), read_parquet(path, ManifestError))
    else:
        cells = read_csv(path, ManifestError)
        rows = from_text(Rows(str(path), _text_frame(cells.header, cells.rows), cells.lines))
    table, notices = with_schema(rows)
    check(rows._replace(table=table))
    return Manifest(table, path.parent, notices)


def save_manifest(manifest: Manifest, path: str | os.PathLike[str]) -> None:
    """Write a manifest as .parquet or .csv, complete or not at all; its paths are made relative to the new place."""
    path = Path(path)
    suffix = _suffix(path)
    table = _moved(manifest, path.parent)
    written = BytesIO()  # on a full disk polars would end in an error of its own, or panic
    if suffix == ".parquet":
        table.write_parquet(written)
    else:
        _text_columns(table).write_csv(written, line_terminator="\r\n", null_value="")
    path.parent.mkdir(parents=True, exist_ok=True)
    write_whole(path, written.getvalue())


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".csv"):
        raise ManifestError(f"{path}: a manifest is a .parquet or .csv file; name it so")
    return suffix


def _text_frame(header: list[str], rows: list[list[str]]) -> pl.DataFrame:
    cells = pl.DataFrame(rows, schema=dict.fromkeys(map(str, range(len(header))), pl.String), orient="row")
    cells = cells.select(pl.all().replace("", None))
    named = {str(index): name for index, name in enumerate(header) if name}
    return cells.select(list(named)).rename(named)


def _text_columns(table: pl.DataFrame) -> pl.DataFrame:
    """Lists as JSON text, since a CSV cell has no other way to hold them, and no text that is taken for a formula."""
    texts = pl.col(pl.String)
    is_formula = texts.str.contains(FORMULA) & ~texts.str.contains(NUMBER)
    return table.with_columns(
        pl.Series(name, [None if cell is None else json.dumps(cell) for cell in table[name].to_list()], pl.String)
        for name, dtype in table.schema.items()
        if dtype.is_nested()
    ).with_columns(pl.when(is_formula).then("'" + texts).otherwise(texts).name.keep())


def _moved(manifest: Manifest, folder: Path) -> pl.DataFrame:
    old, new = manifest.folder.resolve(), folder.resolve()
    if old == new:
        return manifest.table
    try:
        paths = [Path(os.path.relpath(old / path, new)).as_posix() for path in manifest.table["path"]]
    except ValueError:  # Windows: no relative path leads from one drive to another
        raise ManifestError(f"{folder}: lies on another drive than the films; save the manifest beside them") from None
    return manifest.table.with_columns(pl.Series("path", paths, pl.String))
