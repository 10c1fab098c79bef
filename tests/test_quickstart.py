"""The quickstart notebook does what it says, in an empty folder, without Jupyter, and keeps what it showed."""

from __future__ import annotations

import json
import re
import runpy
import shlex
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from commands import run
from conftest import SOAK

from hilum.training import recipe, session

NOTEBOOK = Path(__file__).parents[1] / "docs" / "quickstart.ipynb"
RUNNER = runpy.run_path(str(NOTEBOOK.with_name("run_quickstart.py")))
SHOWS = ("image/png", "text/html", "text/plain")


@pytest.fixture
def notebook() -> dict[str, Any]:
    return json.loads(NOTEBOOK.read_text(encoding="utf-8"))  # type: ignore[no-any-return]


def code(notebook: dict[str, Any]) -> list[dict[str, Any]]:
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]


def kinds(cell: dict[str, Any]) -> list[str]:
    """What a cell shows: printed lines, pictures, tables."""
    return [output.get("name") or next(kind for kind in SHOWS if kind in output["data"]) for output in cell["outputs"]]


def without_a_process(line: str) -> str:
    program, *arguments = shlex.split(line)
    assert program == "hilum"
    answer = run(*arguments)
    assert answer.returncode == 0, f"{line}: {answer.stderr}"
    return answer.stdout


def small_recipe(name: str, settings: Any = (), *, read: Any) -> recipe.Recipe:
    """The notebook's recipe with a network that is written as a bundle in a fifth of the time."""
    made: recipe.Recipe = read(name, ["network.name=timm/test_efficientnet", "network.weights=none", *settings])
    return made


@pytest.mark.soak
@pytest.mark.usefixtures("exports_remembered")
def test_the_notebook_runs_and_shows_what_it_kept(
    notebook: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`make soak` runs it as it stands, with its commands as processes and ImageNet's weights."""
    if not SOAK:
        monkeypatch.setattr(session, "read_recipe", partial(small_recipe, read=recipe.read_recipe))
        monkeypatch.setitem(RUNNER["run_all"].__globals__, "_command", without_a_process)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "home"))
    kept = [kinds(cell) for cell in code(notebook)]
    RUNNER["run_all"](notebook)
    assert [kinds(cell) for cell in code(notebook)] == kept
    last = "".join(code(notebook)[-1]["outputs"][0]["text"])
    assert re.match(r"AUROC 0\.\d\d, and with 95% confidence between", last)

    prose = "".join("".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "markdown")
    links = re.findall(r"\]\(([^)]+)\)", prose)
    assert {"quickstart/audit.html", "quickstart/report/report.html"} <= set(links)
    for link in links:
        assert ((tmp_path if link.startswith("quickstart/") else NOTEBOOK.parent) / link).is_file(), link


def test_it_keeps_pictures_of_phantoms_and_says_what_it_is_not_for(notebook: dict[str, Any]) -> None:
    kept = [kind for cell in code(notebook) for kind in kinds(cell)]
    assert kept.count("image/png") == 2 and kept.count("text/html") == 2
    assert "not a medical device" in "".join(notebook["cells"][0]["source"])
    assert "/tmp/" not in NOTEBOOK.read_text(encoding="utf-8")


def test_it_uses_public_names_only_and_has_a_drive_for_runs(notebook: dict[str, Any]) -> None:
    source = "\n".join("".join(cell["source"]) for cell in code(notebook))
    assert not re.search(r"from hilum|import hilum\.", source)
    assert 'drive.mount("/content/drive")' in source and "out=place" in source
