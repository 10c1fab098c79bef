"""The quickstart notebook does what it says, in an empty folder, without Jupyter.

Its code cells run as one script: a kernel, with all that it brings, would test Jupyter rather than hilum.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOK = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"


@pytest.fixture(scope="module")
def cells() -> list[dict[str, Any]]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]  # type: ignore[no-any-return]


def as_script(cells: list[dict[str, Any]]) -> str:
    """The code of the notebook; a command that Jupyter would give to the shell must succeed."""
    lines = ["import subprocess, sys"]
    for cell in cells:
        if cell["cell_type"] == "code":
            for line in "".join(cell["source"]).splitlines():
                if line.startswith("!"):
                    program, *arguments = shlex.split(line[1:])
                    assert program == "hilum"
                    line = f"subprocess.run([sys.executable, '-m', 'hilum', *{arguments}], check=True)"
                lines.append(line)
    return "\n".join(lines)


def test_the_notebook_runs_and_leaves_the_pages_it_links_to(cells: list[dict[str, Any]], tmp_path: Path) -> None:
    environment = os.environ | {"HILUM_HOME": str(tmp_path / "home")}
    made = subprocess.run(
        [sys.executable, "-c", as_script(cells)], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    assert re.search(r"^AUROC 0\.\d\d, and with 95% confidence between", made.stdout, re.MULTILINE)

    prose = "".join("".join(cell["source"]) for cell in cells if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", prose)
    assert {"quickstart/audit.html", "quickstart/report/report.html"} <= set(links)
    for link in links:
        assert ((tmp_path if link.startswith("quickstart/") else NOTEBOOK.parent) / link).is_file(), link


def test_the_notebook_holds_no_outputs_and_says_what_it_is_not_for(cells: list[dict[str, Any]]) -> None:
    assert all(cell["outputs"] == [] for cell in cells if cell["cell_type"] == "code")
    assert "not a medical device" in "".join(cells[0]["source"])
