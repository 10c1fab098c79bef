"""What a node has to know of a film: by what it is chosen, and by what it is known again."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from hilum.output.dicom.made import MAKER
from hilum.output.dicom.source import FOR_PROCESSING
from hilum.radiograph.dicom.header import (
    BODY_PART,
    INTENT,
    MANUFACTURER,
    MODALITY,
    SERIES,
    SOP_CLASS,
    SOP_INSTANCE,
    STUDY,
    VIEW_POSITION,
    open_dicom,
)

NOT_INFLATED = 1  # no film is accepted deflated


class Facts(NamedTuple):
    """Of a film's header, and who sent it. The identifiers stay in the spool: no log and no figure holds them."""

    caller: str
    kind: str
    instance: str
    series: str
    study: str
    modality: str
    body_part: str
    view: str
    for_people: bool
    ours: bool


def read_facts(film: Path, caller: str) -> Facts:
    """What the header says, by a bounded walk. Raises ReadError."""
    with film.open("rb") as file:
        header = open_dicom(file, NOT_INFLATED).header
    return Facts(
        caller=caller,
        kind=header.text(SOP_CLASS),
        instance=header.text(SOP_INSTANCE),
        series=header.text(SERIES),
        study=header.text(STUDY),
        modality=header.text(MODALITY).upper(),
        body_part=header.text(BODY_PART).upper(),
        view=header.text(VIEW_POSITION).upper(),
        for_people=header.text(INTENT).upper() != FOR_PROCESSING,
        ours=header.text(MANUFACTURER) == MAKER,
    )
