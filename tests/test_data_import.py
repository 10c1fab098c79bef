"""`hilum data import` as a user meets it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from films import picture
from PIL import Image
from typer.testing import CliRunner, Result

from hilum.cli.data.data import data
from hilum.dataset import importing
from hilum.dataset.manifest.manifest import load_manifest
from hilum.system.installed import install_extra


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(data, ["import", *map(str, arguments)])


def films(folder: Path) -> Path:
    for number, name in enumerate(("normal/a.png", "normal/b.png", "covid/a.png")):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(picture(Image.new("L", (20, 10), number), "PNG"))
    (folder / "covid" / "broken.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    return folder


def refused(answer: Result, code: int = 1) -> str:
    assert answer.exit_code == code, answer.output
    assert isinstance(answer.exception, SystemExit)
    assert "Traceback" not in answer.stderr
    assert answer.stdout == ""
    return answer.stderr


def test_a_folder_becomes_a_manifest_beside_the_films(tmp_path: Path) -> None:
    answer = run(films(tmp_path / "set"))
    assert answer.exit_code == 0, answer.output
    assert [line.split("\t") for line in answer.stdout.splitlines()] == [
        ["class", "official split", "images", "patients", "boxes", "unreadable"],
        ["covid", "", "2", "2", "0", "1"],
        ["normal", "", "2", "2", "0", "0"],
        ["all", "", "4", "4", "0", "1"],
    ]
    said = answer.stderr.splitlines()
    assert said[0].startswith("read as folder: ")
    assert any(line.startswith("note: 1 of 4 films cannot be read, covid/broken.jpg: damaged: ") for line in said)
    assert said[-1] == f"next: hilum data audit {tmp_path / 'set' / 'manifest.parquet'}"
    manifest = load_manifest(tmp_path / "set" / "manifest.parquet")
    assert manifest.table["path"].to_list() == ["covid/a.png", "covid/broken.jpg", "normal/a.png", "normal/b.png"]
    assert manifest.table["error"].to_list()[1].startswith("damaged: ")
    assert manifest.table["width"].to_list() == [20, None, 20, 20]
    assert set(manifest.table["source"]) == {"folder"}


def test_the_order_of_the_file_system_does_not_matter(tmp_path: Path) -> None:
    for name, order in (("one", 1), ("other", -1)):
        for path in ("normal/a.png", "normal/b.png", "covid/a.png")[::order]:
            (tmp_path / name / path).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name / path).write_bytes(picture(Image.new("L", (20, 10), len(path)), "PNG"))
        assert run(tmp_path / name).exit_code == 0
    one, other = (load_manifest(tmp_path / name / "manifest.parquet") for name in ("one", "other"))
    assert one.table.equals(other.table)
    assert one.digest == other.digest


def test_json_is_one_object_and_all_there_is(tmp_path: Path) -> None:
    answer = run("folder", films(tmp_path / "set"), "-o", tmp_path / "m.csv", "--json")
    counted = json.loads(answer.stdout)
    assert (counted["kind"], counted["images"], counted["unreadable"]) == ("folder", 4, 1)
    assert counted["classes"][0] == {
        "label": "covid",
        "official_split": None,
        "images": 2,
        "patients": 2,
        "boxes": 0,
        "unreadable": 1,
    }
    assert counted["digest"] == load_manifest(tmp_path / "m.csv").digest
    assert any("cannot be read" in notice for notice in counted["notices"])
    assert answer.stderr == ""


def test_a_table_is_imported_with_its_columns_and_labels_named(tmp_path: Path) -> None:
    films(tmp_path)
    (tmp_path / "list.csv").write_text("Image,Finding\nnormal/a.png,Clear\ncovid/a.png,Opacity\n")
    mapped = ("--map", "path=Image", "--map", "label=Finding", "--label", "Clear=normal")
    answer = run("table", tmp_path / "list.csv", *mapped)
    assert answer.exit_code == 0, answer.output
    assert load_manifest(tmp_path / "manifest.parquet").table["label"].to_list() == ["opacity", "normal"]


def test_an_existing_manifest_is_overwritten_only_by_force(tmp_path: Path) -> None:
    films(tmp_path)
    out = tmp_path / "m.csv"
    out.write_text("mine")
    assert refused(run(tmp_path, "-o", out)) == f"{out}: is there already; --force overwrites it\n"
    assert out.read_text() == "mine"
    assert run(tmp_path, "-o", out, "--force").exit_code == 0
    assert load_manifest(out).table.height == 4


def test_what_cannot_be_written_is_said_before_films_are_read(tmp_path: Path) -> None:
    films(tmp_path)
    assert "name it so" in refused(run(tmp_path, "-o", tmp_path / "m.xlsx"))
    assert "there is no such folder" in refused(run(tmp_path, "-o", tmp_path / "absent" / "m.csv"))


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_that_cannot_be_written_to(tmp_path: Path) -> None:
    films(tmp_path).chmod(0o500)
    assert "give another place with -o" in refused(run(tmp_path))


def test_what_is_no_data_set_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "m.csv"
    told = refused(run(tmp_path / "empty", "-o", out))
    assert "no JPEG, PNG or DICOM film lies in it" in told and len(told.splitlines()) == 1
    (tmp_path / "empty" / "a.png").touch()
    told = refused(run(tmp_path / "empty", "-o", out))
    assert "no known layout; put each class into a folder of its own" in told and len(told.splitlines()) == 1
    (tmp_path / "empty" / "a.png").unlink()
    assert "there is no such folder or table" in refused(run(tmp_path / "absent", "-o", out))
    assert "--map and --label are for tables" in refused(run(films(tmp_path / "set"), "-o", out, "--map", "path=x"))
    assert "No such file" in refused(run("rsna", tmp_path / "empty", "-o", out))
    assert "kermany is a folder, and this is a file" in refused(run("kermany", tmp_path / "set/covid/a.png", "-o", out))
    assert not out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["kermany"], "name its folder too"),
        (["chexpert", "."], "no kind of data set is called chexpert"),
        ([".", ".", "."], "give one folder or table"),
        ([".", "--map", "path"], "write two names with"),
    ],
)
def test_misuse_is_explained(arguments: list[str], message: str) -> None:
    answer = run(*arguments)
    assert message in " ".join(refused(answer, 2).replace("│", " ").split())


def test_bugs_show_their_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def buggy(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(importing, "import_folder", buggy)
    assert isinstance(run(films(tmp_path)).exception, ZeroDivisionError)


def test_without_the_data_extra_it_is_said_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "polars", None)
    assert install_extra("data") in refused(run(films(tmp_path)))


def test_the_command_is_known_without_loading_polars() -> None:
    code = "import sys; import hilum.cli.data.data; print({'polars', 'pydicom', 'cv2', 'torch'} & set(sys.modules))"
    answer = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert answer.stdout == "set()\n"


def test_the_help_names_every_kind() -> None:
    help_text = run("--help").stdout
    assert all(kind in help_text for kind in ("kermany", "coronahack", "rsna", "siim-covid", "nih", "table", "folder"))
