"""The command: a table for people, JSON for programs, a page, and an exit code that a script can trust."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import polars as pl
import pytest
import typer
from typer.testing import CliRunner, Result

from hilum.cli.data.audit import audit
from hilum.dataset.audit.report import load_groups
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.phantom.phantom import write_phantoms

app = typer.Typer()
app.command()(audit)


@pytest.fixture
def manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Twelve phantoms, one of them copied; stores are kept aside."""
    monkeypatch.setenv("HILUM_HOME", str(tmp_path / "home"))
    films = tmp_path / "films"
    write_phantoms(films, 12, layout="folder", seed=2, size=96)
    (films / "boxes.csv").unlink()
    normal = sorted((films / "normal").iterdir())
    shutil.copy(normal[0], normal[0].with_name("copy" + normal[0].suffix))
    save_manifest(import_folder(films, "folder", processes=1)[0], films / "manifest.parquet")
    return films / "manifest.parquet"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def test_a_table_with_what_to_do_and_exit_code_0_where_nothing_leaks(manifest: Path) -> None:
    result = run(manifest)
    assert result.exit_code == 0, result.output
    header, *lines = result.stdout.splitlines()
    assert header.split("\t") == ["severity", "finding", "what was found", "what to do"]
    row = next(line.split("\t") for line in lines if "exact_duplicates" in line)
    assert row[:3] == ["warning", "exact_duplicates", "2 films in 1 group of identical pixels."]
    assert row[3]


def test_exit_code_1_where_something_leaks(manifest: Path) -> None:
    loaded = load_manifest(manifest)
    doubled = loaded.table["pixel_digest"].is_duplicated()
    sides = pl.when(doubled & (pl.col("path").str.contains("copy"))).then(pl.lit("test")).otherwise(pl.lit("train"))
    save_manifest(Manifest(loaded.table.with_columns(split=sides), loaded.folder), manifest)
    result = run(manifest)
    assert result.exit_code == 1
    assert result.stdout.splitlines()[1].startswith("leak\tduplicate_on_both_sides")
    assert "would leak" in result.stderr


def test_json_is_the_whole_report(manifest: Path, tmp_path: Path) -> None:
    result = run(manifest, "--json", "-o", tmp_path / "audit.json")
    report = json.loads(result.stdout)
    assert report == json.loads((tmp_path / "audit.json").read_text())
    assert report["films"] == 13 and report["leaks"] is False
    assert {"kind", "severity", "count", "sentence", "advice", "groups", "figures"} == set(report["findings"][0])


def test_the_report_can_be_acted_on(manifest: Path, tmp_path: Path) -> None:
    run(manifest, "-o", tmp_path / "audit.json")
    assert len(load_groups(load_manifest(manifest), tmp_path / "audit.json")["exact_duplicates"]) == 1


def test_the_page_is_written(manifest: Path, tmp_path: Path) -> None:
    result = run(manifest, "--html", tmp_path / "audit.html")
    assert result.exit_code == 0
    assert (tmp_path / "audit.html").read_text().startswith("<!doctype html>")
    assert str(tmp_path / "audit.html") in result.stderr


def test_an_unreadable_film_is_a_finding(manifest: Path) -> None:
    (manifest.parent / "normal" / "broken.png").write_bytes(b"no film")
    save_manifest(import_folder(manifest.parent, "folder", processes=1)[0], manifest)
    result = run(manifest)
    assert result.exit_code == 0
    assert "1 film cannot be read." in result.stdout


def test_films_that_went_away_are_an_error(manifest: Path) -> None:
    next((manifest.parent / "pneumonia").iterdir()).unlink()
    result = run(manifest)
    assert result.exit_code == 1 and result.stdout == ""
    assert len(result.stderr.splitlines()) == 1 and "put it back" in result.stderr


def test_errors_are_one_line(manifest: Path, tmp_path: Path) -> None:
    for words in ((tmp_path / "absent.parquet",), (manifest, "--html", tmp_path / "nowhere" / "a.html")):
        result = run(*words)
        assert result.exit_code == 1 and result.stdout == ""
        assert len(result.stderr.splitlines()) == 1
