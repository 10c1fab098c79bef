"""What came of changed films, as files: for people, papers, tables and programs."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from hilum import __version__
from hilum.evaluation.data_set import DataSet
from hilum.evaluation.report.document import Document
from hilum.evaluation.report.page import write_page
from hilum.evaluation.robustness.plot import draw
from hilum.evaluation.robustness.robustness import Robustness, Row
from hilum.evaluation.robustness.section import answer, robustness_section
from hilum.measures.figure import EvaluationError
from hilum.system.files import write_whole
from hilum.system.rows import write_csv
from hilum.system.typed import MisfitError, build

FORMAT = 1
NAME = "robustness"
GAINS = ("auroc_gain", "sensitivity_gain", "specificity_gain")
PLAIN = (
    "change",
    "strength",
    "films",
    "auroc",
    "sensitivity",
    "specificity",
    "mean_change",
    "mean_shift",
    "turned_away",
)
HEADER = (*PLAIN, *(f"{name}_{end}" for name in GAINS for end in ("low", "high")))


def save_robustness(made: Robustness, folder: Path) -> Path:
    """Write the four files; returns where the page is."""
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / f"{NAME}.json", json.dumps(as_plain(made), indent=1) + "\n")
    write_csv(folder / f"{NAME}.csv", [HEADER, *map(_cells, (made.as_is, *made.rows))])
    write_whole(folder / f"{NAME}.png", draw(made))
    page = folder / f"{NAME}.html"
    write_whole(page, write_page(_document(made)))
    return page


def as_plain(made: Robustness) -> dict[str, Any]:
    """For programs."""
    return {"format": FORMAT, "hilum": __version__, **asdict(made)}


def load_robustness(folder: Path, bundle: str, data: DataSet, split: str) -> Robustness:
    """What `hilum robustness` wrote to a folder, of the bundle with this digest and of these films; of any others it is
    refused."""
    path = folder / f"{NAME}.json" if folder.is_dir() else folder
    if not path.is_file():
        raise EvaluationError(f"{path}: is not there; `hilum robustness` writes it")
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
        made = build(Robustness, {key: value for key, value in values.items() if key not in ("format", "hilum")})
        known = values["format"] == FORMAT
    except (ValueError, AttributeError, KeyError, MisfitError):
        raise EvaluationError(f"{path}: is not what `hilum robustness` writes; run it again") from None
    if not known:
        raise EvaluationError(f"{path}: was written by another version of hilum; run `hilum robustness` again")
    if made.bundle != bundle:
        raise EvaluationError(f"{path}: is of another bundle ({made.file}); run `hilum robustness` with this one")
    if (made.data, made.split) != (data.manifest.digest, split):
        raise EvaluationError(f"{path}: is of other films ({made.manifest}, split {made.split}); run it on these")
    return made


def _cells(row: Row) -> list[object]:
    cells = [getattr(row, name) for name in PLAIN]
    for name in GAINS:
        cells += getattr(row, name) or (None, None)
    return [round(cell, 4) if isinstance(cell, float) else cell for cell in cells]


def _document(made: Robustness) -> Document:
    films, section = made.as_is.films, robustness_section(made)
    return Document(
        title=made.model,
        subtitle=f"{films:,} films of {made.patients:,} patients · {made.manifest}, split {made.split} · {made.file}",
        stamp="",
        answer=answer(made),
        tiles=[],
        cautions=[],
        # Its first block says the same as the page's own answer.
        sections=[replace(section, blocks=section.blocks[1:])],
    )
