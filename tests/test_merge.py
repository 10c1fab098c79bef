"""Several data sets in one manifest: patients apart, paths right, splits kept."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from typer.testing import CliRunner

from hilum.cli.app import app
from hilum.dataset.manifest.manifest import SCHEMA, Manifest, ManifestError, load_manifest, save_manifest
from hilum.dataset.merge import merge


def data_set(folder: Path, source: str, digests: list[str], **extra: str) -> Manifest:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [
        {"path": f"films/{number}.png", "patient": f"person{number}", "source": source, "file_digest": digest}
        | {"label": "normal", "split": "train"}
        for number, digest in enumerate(digests)
    ]
    table = pl.DataFrame(rows, schema=SCHEMA, orient="row")
    return Manifest(table.with_columns(*(pl.lit(value).alias(name) for name, value in extra.items())), folder)


def test_films_keep_their_places_and_patients_of_two_sources_are_two(tmp_path: Path) -> None:
    children = data_set(tmp_path / "children", "kermany", ["a", "b"])
    adults = data_set(tmp_path / "adults", "nih", ["c"], hospital="north")
    merged, notices = merge([children, adults])
    assert merged.folder == tmp_path
    assert merged.table["path"].to_list() == ["children/films/0.png", "children/films/1.png", "adults/films/0.png"]
    assert merged.table["patient"].to_list() == ["kermany:person0", "kermany:person1", "nih:person0"]
    assert merged.table["hospital"].to_list() == [None, None, "north"]
    assert merged.table["split"].to_list() == ["train"] * 3
    assert "3 films" in notices[0]


def test_copies_across_data_sets_and_films_without_a_split_are_told(tmp_path: Path) -> None:
    first, second = (data_set(tmp_path / name, name, ["same"]) for name in ("one", "two"))
    unsplit = Manifest(second.table.with_columns(pl.lit(None, pl.String).alias("split")), second.folder)
    _, notices = merge([first, unsplit])
    assert any("1 films are byte for byte copies" in notice for notice in notices)
    assert any("1 films are in no split" in notice for notice in notices)


def test_the_same_film_twice_is_refused(tmp_path: Path) -> None:
    manifest = data_set(tmp_path / "one", "one", ["a"])
    with pytest.raises(ManifestError, match="in two of the manifests"):
        merge([manifest, manifest])


def test_the_command_writes_a_manifest_that_loads(tmp_path: Path) -> None:
    for name in ("one", "two"):
        save_manifest(data_set(tmp_path / name, name, [name]), tmp_path / name / "manifest.csv")
    paths = [str(tmp_path / name / "manifest.csv") for name in ("one", "two")]
    answer = CliRunner().invoke(app, ["data", "merge", *paths, "--out", str(tmp_path / "both.parquet")])
    assert answer.exit_code == 0, answer.output
    assert load_manifest(tmp_path / "both.parquet").table["path"].to_list() == ["one/films/0.png", "two/films/0.png"]
    answer = CliRunner().invoke(app, ["data", "merge", paths[0], "--out", str(tmp_path / "x.csv")])
    assert answer.exit_code == 2
    assert "two manifests" in " ".join(answer.output.split())
