"""On what terms the published sets may be used, and whom their films show."""

from __future__ import annotations

from typing import NamedTuple

from hilum.dataset.fetch.fetch import ORIGINS, Kind
from hilum.dataset.manifest.manifest import Manifest

UNKNOWN = "the terms of the films' owner hold, and hilum does not know them"


class Terms(NamedTuple):
    """On what terms a published set may be used, and whom its films show."""

    license: str
    terms: str
    limit: str


# By the layout a manifest was imported as. Anybody may lay films out so; the terms are those of the published set.
TERMS = {
    "kermany": Terms(
        "CC BY 4.0",
        ORIGINS[Kind.KERMANY].terms,
        "The published films are of children of one to five years from one hospital in Guangzhou; on other patients, "
        "devices and hospitals expect other figures.",
    ),
    "coronahack": Terms(
        "several",
        ORIGINS[Kind.CORONAHACK].terms,
        "Most films are of children, the COVID-19 films of adults from publications: the network may tell sources "
        "apart where it should tell diseases apart.",
    ),
    "rsna": Terms(
        "non-commercial",
        ORIGINS[Kind.RSNA].terms,
        "Adults of one hospital group; the label is lung opacity as radiologists saw it, not a proven pneumonia.",
    ),
    "nih": Terms(
        "free use with attribution",
        "Name the NIH Clinical Center; labels and boxes of the RSNA challenge are for non-commercial use only.",
        "Adults of one hospital; labels that were mined from reports are often wrong.",
    ),
    "siim-covid": Terms(
        "non-commercial",
        "The rules of the SIIM-FISABIO-RSNA challenge: non-commercial research and education only.",
        "Adults in the COVID-19 pandemic; the class is that of a study, not of each of its films.",
    ),
}


def sources(manifest: Manifest) -> list[str]:
    """The names of the data sets in a manifest."""
    return sorted(manifest.table["source"].drop_nulls().unique()) or ["unknown"]
