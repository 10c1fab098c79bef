"""`hilum export --turn-away`: real pictures that the gate learns to turn away, by the view that is known of them."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import polars as pl
import pytest
from commands import run as command
from exported import make_run, phantom_manifest
from numpy.typing import NDArray

from hilum.bundle.card import BundleError
from hilum.bundle.format import LATERAL
from hilum.bundle.onnx_file import read_card
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.export.gate.turned_away import laterals_and_others
from hilum.radiograph.geometry import Geometry

pytestmark = pytest.mark.usefixtures("exports_remembered")
VIEWS = ["ll", "RL", "LATERAL", "CORONAL SLICE", None]
LEVELS = [10, 60, 110, 160, 210]


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of pictures, each of one grey level but for a corner, of all VIEWS."""
    folder = tmp_path_factory.mktemp("pictures")
    for number, level in enumerate(LEVELS):
        picture = np.full((80, 80), level, np.uint8)
        picture[:8, :8] = 255 - picture[:8, :8]
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    pl.DataFrame({"image": [f"{number}.png" for number in range(len(LEVELS))]}).write_csv(folder / "table.csv")
    manifest, _, _ = import_folder(folder / "table.csv", "table", columns={"path": "image"}, processes=1)
    order = [int(Path(path).stem) for path in manifest.table["path"]]
    views = pl.Series("view", [VIEWS[number] for number in order], pl.String)
    path = folder / "manifest.parquet"
    save_manifest(Manifest(manifest.table.with_columns(views), manifest.folder), path)
    return path


def loaded(path: Path, **views: str) -> Manifest:
    manifest = load_manifest(path)
    new = [
        views.get(f"film{Path(name).stem}", view) for name, view in manifest.table.select("path", "view").iter_rows()
    ]
    return Manifest(manifest.table.with_columns(pl.Series("view", new, pl.String)), manifest.folder)


def levels(films: NDArray[np.uint8]) -> list[int]:
    return sorted(int(np.median(film)) for film in films)


def test_lateral_is_what_its_view_calls_so_and_all_else_is_no_chest_film(pictures: Path) -> None:
    found = laterals_and_others(loaded(pictures), Geometry("squash", 32, 32), lambda done, total: None)
    assert [levels(films) for films in found] == [LEVELS[:3], LEVELS[3:]]
    assert all(films.shape[1:] == (32, 32) for films in found)


@pytest.mark.parametrize("view", ["PA", "AP", "pa"])
def test_a_frontal_film_among_them_is_refused(pictures: Path, view: str) -> None:
    with pytest.raises(BundleError, match=r"3\.png: is a frontal film by its view .* leave out the 1 that are"):
        laterals_and_others(loaded(pictures, film3=view), Geometry("squash", 32, 32), lambda done, total: None)


def test_the_card_says_what_the_gate_learned_from(pictures: Path, tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", phantom_manifest(tmp_path / "films"), "small_cnn1", 32)
    out = tmp_path / "model.onnx"
    ended = command("export", run.folder, "-o", out, "--turn-away", pictures)
    assert ended.returncode == 0, ended.stderr
    gate = read_card(out).gate
    assert gate is not None and gate.states[-1] == LATERAL
    assert "from 3 real and many made-up ones, what is no chest film from made-up pictures and 2 real ones" in gate.note


def test_what_is_no_manifest_is_one_line(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", phantom_manifest(tmp_path / "films", 12), "small_cnn1", 32, steps=0)
    ended = command("export", run.folder, "--turn-away", tmp_path / "absent.csv")
    assert ended.returncode == 1
    assert "absent.csv: there is no such manifest or folder" in ended.stderr
