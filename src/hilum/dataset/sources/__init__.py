"""Where films come from: one small file a source, and one line here. The most specific layout stands first."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hilum.dataset.sources import coronahack, folder, kermany, nih, rsna, siim_covid, table
from hilum.dataset.sources.source import Entry, Listing, Source, SourceError, films_below

__all__ = ["SOURCES", "Entry", "Listing", "Source", "SourceError", "recognize"]

SOURCES = {
    "kermany": Source(kermany.LAYOUT, kermany.recognize, kermany.read),
    "coronahack": Source(coronahack.LAYOUT, coronahack.recognize, coronahack.read),
    "rsna": Source(rsna.LAYOUT, rsna.recognize, rsna.read),
    "siim-covid": Source(siim_covid.LAYOUT, siim_covid.recognize, siim_covid.read),
    "nih": Source(nih.LAYOUT, nih.recognize, nih.read),
    "table": Source(table.LAYOUT, table.recognize, partial(table.read, columns={}, labels={})),
    "folder": Source(folder.LAYOUT, folder.recognize, folder.read),
}


def recognize(path: Path) -> str:
    """The kind of source that lies at `path`."""
    if path.is_file():
        if table.recognize(path):
            return "table"
        raise SourceError(f"{path}: neither a folder nor a .csv or .parquet table; give one of these")
    for kind, source in SOURCES.items():
        if source.recognize(path):
            return kind
    if not films_below(path):
        raise SourceError(f"{path}: no JPEG, PNG or DICOM film lies in it; name the folder that holds the films")
    raise SourceError(
        f"{path}: its films lie in no known layout; put each class into a folder of its own, or list the films in a "
        "table; `hilum data import --help` names the layouts"
    )
