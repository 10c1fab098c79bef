"""From what a user names to films and archives: folders, lists, tables, zip and tar files, object stores, DICOMweb."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import polars as pl

from hilum.radiograph.folder import PICTURE_SUFFIXES, may_be_film
from hilum.scale.archives import is_archive
from hilum.scale.dicomweb import films_of, is_dicomweb
from hilum.scale.errors import ScaleError
from hilum.scale.uris import check_uri, uri_of
from hilum.system.text import printable

LISTS, TABLES = (".txt", ".lst"), (".parquet",)
COLUMNS = ("uri", "path")


class Source(NamedTuple):
    """A file to judge, or an archive of such files."""

    uri: str
    archive: bool


def sources_as_text(named: Sequence[str], *, insecure: bool = False) -> list[str]:
    """What was named, as it is from any folder, each once and in an order of its own.

    With `insecure` an archive may be asked in the clear. Raises ScaleError.
    """
    for name in named:
        check_uri(name, "one of the films named", insecure=insecure)
    return sorted({name if "://" in name else uri_of(Path(os.path.normpath(Path(name).absolute()))) for name in named})


def listing(named: Sequence[str]) -> Iterator[Source]:
    """All that is to be judged, as it is found. Raises ScaleError for what is not there or is no list.

    `named` are what `sources_as_text` gives. A folder within one that was named, too, is gone through once.
    """
    folders = [name for name in named if "://" not in name and Path(name).is_dir()]
    for name in named:
        if is_dicomweb(name):
            yield from (Source(film, False) for film in films_of(name))
        elif "://" in name and not name.startswith("file://"):
            yield from _of_store(name)
        elif name in folders:
            if not any(Path(name).is_relative_to(other) for other in folders if other != name):
                yield from _below(name)
        elif any(Path(name).is_relative_to(folder) for folder in folders) and not _is_list(name):
            continue
        elif name.lower().endswith(TABLES):
            yield from _of_table(Path(name))
        elif name.lower().endswith(LISTS):
            yield from _of_list(Path(name))
        elif Path(name).exists() or name.startswith("file://"):
            yield Source(name, is_archive(name))
        else:
            raise ScaleError(f"{printable(name)}: there is no such file or folder")


def _is_list(name: str) -> bool:
    return name.lower().endswith(TABLES + LISTS)


def _below(folder: str) -> Iterator[Source]:
    """As `hilum predict` takes a folder, and the archives in it, too; in no order, which takes no memory."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(entry.path)
            elif entry.is_file():
                path = Path(entry.path)
                archive = is_archive(entry.name)
                if archive or may_be_film(path):
                    yield Source(uri_of(path), archive)


def _of_list(path: Path) -> Iterator[Source]:
    """A line a film or archive; what is relative is so to the list."""
    with path.open(encoding="utf-8", errors="surrogateescape") as lines:
        for row, text in enumerate(dict.fromkeys(line.strip() for line in lines), start=1):
            if text:
                yield _named(text, row, path)


def _of_table(path: Path) -> Iterator[Source]:
    """The column `uri`, or `path`, of a Parquet file; a manifest of `hilum data import` is one."""
    try:
        columns = pl.read_parquet_schema(path)
        column = next((name for name in COLUMNS if columns.get(name) == pl.String), None)
        if column is None:
            raise ScaleError(f"{path}: has no column of text named {' or '.join(COLUMNS)}")
        texts = pl.scan_parquet(path).select(pl.col(column).drop_nulls().unique(maintain_order=True)).collect()
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException):
        raise ScaleError(f"{path}: no Parquet file, or a damaged one; write it again") from None
    for row, text in enumerate(texts[column], start=1):
        yield _named(text, row, path)


def _named(text: str, row: int, path: Path) -> Source:
    check_uri(text, f"{path}: row {row:,}")
    uri = text if "://" in text else uri_of(Path(os.path.normpath(path.absolute().parent / text)))
    return Source(uri, is_archive(uri))


def _of_store(uri: str) -> Iterator[Source]:
    """By names alone, since looking into each object would cost as much as judging it: what has none of a film's
    endings counts where it has no ending at all, as archives of DICOM store films.
    """
    from hilum.scale.stores import check_stores, objects_below

    check_stores()
    below = objects_below(uri)
    if below is None:
        yield Source(uri, is_archive(uri))
        return
    for each in below:
        archive = is_archive(each)
        if archive or os.path.splitext(each)[1].lower() in ("", *PICTURE_SUFFIXES):  # noqa: PTH122, no path
            yield Source(each, archive)
