"""Several data sets become one, to train on children and adults together."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import polars as pl

from hilum.dataset.manifest.manifest import Manifest, ManifestError


def merge(manifests: Sequence[Manifest]) -> tuple[Manifest, list[str]]:
    """One manifest of all films, splits as they are; what was decided or found on the way in plain sentences.

    Patients of different sources are different people, whatever their numbers. A film that two data sets share (the
    same bytes) stays in both rows, and the sentence says how many: an audit finds and drops them.
    """
    folder = Path(os.path.commonpath([manifest.folder.resolve() for manifest in manifests]))
    tables = []
    for manifest in manifests:
        beneath = manifest.folder.resolve().relative_to(folder)
        paths = [(beneath / path).as_posix() for path in manifest.table["path"]]
        source = pl.col("source").fill_null("unknown")
        patient = pl.concat_str(source, pl.lit(":"), pl.col("patient"))
        tables.append(manifest.table.with_columns(pl.Series("path", paths, pl.String), patient.alias("patient")))
    table = pl.concat(tables, how="diagonal_relaxed")
    if twice := table["path"].filter(table["path"].is_duplicated()).to_list():
        raise ManifestError(f"{folder / twice[0]}: is in two of the manifests; leave one of them out")
    notices = [f"{len(manifests)} data sets, {table.height:,} films; patients are told apart by their source"]
    known = table["file_digest"].drop_nulls()
    if copies := known.len() - known.n_unique():
        notices.append(f"{copies:,} films are byte for byte copies of others: run `hilum data audit` before training")
    without = table["split"].null_count()
    if 0 < without < table.height:
        notices.append(f"{without:,} films are in no split and will not be trained on: split each data set, then merge")
    return Manifest(table, folder), notices
