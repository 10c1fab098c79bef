"""docs/api is what the docstrings say, explains every public name, and its examples do what they show."""

from __future__ import annotations

import doctest
import runpy
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bundles import tiny_bundle, tiny_detection_bundle
from exported import phantom_manifest
from local_bundles import hospital, settable_bundle
from PIL import Image

import hilum
from hilum.dataset.phantom.phantom import write_phantoms

pytestmark = pytest.mark.usefixtures("exports_remembered")
DOCS = Path(__file__).parents[1] / "docs"
API = runpy.run_path(str(DOCS / "api_pages.py"))
EXPLAINED = [each for _, things in API["PAGES"].values() for each in things]


def test_every_public_name_is_explained() -> None:
    names = {each.__name__ for each in EXPLAINED}
    assert set(hilum.__all__) - {"Prediction", "__version__"} <= names
    assert set(hilum.Prediction.__args__) <= set(EXPLAINED)


@pytest.mark.parametrize("name", API["PAGES"])
def test_the_pages_are_what_the_docstrings_say(name: str) -> None:
    assert API["page"](name) == (DOCS / f"api/{name}.md").read_text(encoding="utf-8"), "run `make docs`"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples find a film, films of known truth, and models; all films are phantoms."""
    folder = tmp_path_factory.mktemp("examples")
    phantom_manifest(folder / "films")
    write_phantoms(folder / "drawn", 1, size=256)
    (film,) = folder.joinpath("drawn").rglob("*.jpeg")
    Image.open(film).save(folder / "film.png")
    shutil.move(settable_bundle(folder), folder / "model.onnx")
    shutil.move(tiny_bundle(folder, title="Another"), folder / "other.onnx")
    shutil.move(tiny_detection_bundle(folder), folder / "boxes.onnx")
    hospital(folder / "ours")
    Image.fromarray(np.full((300, 300), 9, np.uint8)).save(folder / "blank.png")
    (folder / "no-film.png").write_text("a letter")
    return folder


@pytest.mark.parametrize("thing", EXPLAINED, ids=lambda thing: thing.__name__)
def test_examples_show_what_happens(thing: Any, place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(place)
    (found,) = doctest.DocTestFinder(recurse=False).find(thing, thing.__name__, globs={"hilum": hilum})
    assert found.examples, f"{thing.__name__} has no example"
    lines: list[str] = []
    doctest.DocTestRunner(optionflags=doctest.ELLIPSIS).run(found, out=lines.append)
    assert not lines, "".join(lines)
