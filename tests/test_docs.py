"""Pages that are made from the code still say what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_of_bundled_dicom_files_is_current() -> None:
    made = runpy.run_path(str(DOCS / "bundled_dicom.py"))["page"]()
    assert made == (DOCS / "bundled-dicom.md").read_text(encoding="utf-8"), "run `make docs`"
