"""Class folders for other tools, and contact sheets for people, through the command line."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from commands import run
from films import picture, smooth_picture
from PIL import Image

from hilum import read
from hilum.dataset.contact_sheet import sample_films
from hilum.dataset.export import ExportError, export_folders
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, save_manifest
from hilum.radiograph.geometry import Geometry


def quiet(done: int, total: int) -> None:
    pass


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    for split in ("train", "test"):
        for label in ("normal", "pneumonia"):
            for ward in ("a", "b"):
                path = tmp_path / "set" / split / label / ward / "film.png"
                path.parent.mkdir(parents=True)
                levels = smooth_picture() // (2 if ward == "a" else 1)
                path.write_bytes(picture(Image.fromarray(levels), "PNG"))
    return import_folder(tmp_path / "set", "folder")[0]


def test_copies_by_split_and_label_never_overwrite_each_other(manifest: Manifest, tmp_path: Path) -> None:
    assert export_folders(manifest, tmp_path / "out", on_progress=quiet) == (8, 0)
    written = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
    assert written == [
        f"{split}/{label}/{name}"
        for split in ("test", "train")
        for label in ("normal", "pneumonia")
        for name in ("film-2.png", "film.png")
    ]
    sources = {path.read_bytes() for path in (tmp_path / "set").rglob("*.png")}
    assert {path.read_bytes() for path in (tmp_path / "out").rglob("*.png")} == sources


def test_with_a_size_the_films_are_scaled(manifest: Manifest, tmp_path: Path) -> None:
    geometry = Geometry("fit", 24, 32)
    export_folders(manifest, tmp_path / "out", geometry, on_progress=quiet, store_folder=tmp_path / "stores")
    written = list((tmp_path / "out").rglob("*.png"))
    assert len(written) == 8
    assert {read(path).pixels.shape for path in written} == {(24, 32)}


def test_labels_and_splits_from_a_table_cannot_lead_outside(manifest: Manifest, tmp_path: Path) -> None:
    evil = manifest.table.with_columns(label=pl.lit("../../evil"), split=pl.lit("/etc"))
    export_folders(Manifest(evil, manifest.folder), tmp_path / "deep" / "out", on_progress=quiet)
    outside = [path for path in tmp_path.rglob("*evil*") if tmp_path / "deep" / "out" not in path.parents]
    assert outside == []


def test_a_folder_in_use_is_refused(manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("precious")
    with pytest.raises(ExportError, match="not empty"):
        export_folders(manifest, tmp_path / "out", on_progress=quiet)


def test_a_sheet_balances_the_labels(manifest: Manifest) -> None:
    chosen = sample_films(manifest.table, 4, seed=1)
    assert sorted(chosen["label"]) == ["normal", "normal", "pneumonia", "pneumonia"]
    assert sample_films(manifest.table, 100, seed=1).height == 8


def test_split_show_store_and_export_from_the_command_line(
    manifest: Manifest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "home"))
    table = tmp_path / "set" / "manifest.parquet"
    save_manifest(manifest, table)
    answer = run("data", "split", table, "--ratios", "train=0.5,val=0.5")
    assert answer.returncode == 0, answer.stderr
    assert "official test split of 4 films is left alone" in answer.stderr
    answer = run("data", "show", table, "--png", tmp_path / "sheet.png", "--columns", "4")
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.splitlines()[0].split("\t") == ["split", "label", "images", "patients", "boxes", "unreadable"]
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 4 * 200
    answer = run("data", "store", table, "--size", "24x32", "--geometry", "fit")
    assert "2 distinct films, fit 24x32" in answer.stderr
    assert list((tmp_path / "home" / "stores").glob("24x32-*/pixels.u8"))
    answer = run("data", "export", table, tmp_path / "out")
    assert "films written" in answer.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("split", "absent.parquet"), "absent.parquet"),
        (("show", "absent.parquet"), "absent.parquet"),
        (("store", "absent.parquet"), "absent.parquet"),
        (("export", "absent.parquet", "out"), "absent.parquet"),
    ],
)
def test_a_missing_manifest_is_one_line(arguments: tuple[str, ...], words: str) -> None:
    answer = run("data", *arguments)
    assert answer.returncode == 1
    assert words in answer.stderr
    assert len(answer.stderr.strip().splitlines()) == 1


def test_what_cannot_be_meant_is_a_usage_error() -> None:
    for arguments in (
        ("split", "m.parquet", "--ratios", "train:0.5"),
        ("split", "m.parquet", "--folds", "3", "--ratios", "train=1"),
        ("store", "m.parquet", "--size", "big"),
    ):
        answer = run("data", *arguments)
        assert answer.returncode == 2
        assert "Traceback" not in answer.stderr
