"""Pages that are made from the code still say what the code does."""

from __future__ import annotations

import runpy
from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"


def test_the_table_of_bundled_dicom_files_is_current() -> None:
    made = runpy.run_path(str(DOCS / "bundled_dicom.py"))["page"]()
    assert made == (DOCS / "bundled-dicom.md").read_text(encoding="utf-8"), "run `make docs`"


def test_the_page_of_every_setting_is_current_and_says_what_each_is_for() -> None:
    made = runpy.run_path(str(DOCS / "recipe_keys.py"))["page"]()
    assert made == (DOCS / "recipe.md").read_text(encoding="utf-8"), "run `make docs`"
    rows = [line.split(" | ") for line in made.splitlines() if line.startswith("| `")]
    assert len(rows) > 60
    assert all(len(row) == 4 and all(row) for row in rows)
