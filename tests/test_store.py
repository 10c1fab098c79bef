"""A store is whole or not there: killed, out of room, built twice at once, with unreadable films, at any geometry."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import PATIENCE, SOAK
from films import picture
from PIL import Image

from hilum import read
from hilum.dataset.importing import import_folder
from hilum.dataset.manifest.manifest import Manifest, load_manifest, save_manifest
from hilum.dataset.store.store import StoreError, build_store
from hilum.radiograph.geometry import Geometry

SQUARE = Geometry("squash", 32, 32)
BUILD = """
import os, signal, sys
from pathlib import Path
import hilum.dataset.store.build
from hilum.dataset.manifest.manifest import load_manifest
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry
killed_at, shown, synced, fsync = int(sys.argv[3]), [], 0, os.fsync
def sync_or_die(file):
    global synced
    synced += 1
    if synced == killed_at:
        print(shown[1], flush=True)  # the first is zero, the second what is left of an earlier build
        os.kill(os.getpid(), signal.SIGKILL)
    fsync(file)
if __name__ == "__main__":
    if killed_at:
        os.fsync = sync_or_die
        hilum.dataset.store.build.CHUNK, hilum.dataset.store.build.SYNC_SECONDS = 1, 0  # synced after every film
    manifest = load_manifest(sys.argv[1])
    on_progress = lambda done, films: shown.append(done)
    store = build_store(manifest, Geometry("squash", 32, 32), Path(sys.argv[2]), on_progress=on_progress, processes=1)
    print(len(store.pixels))
"""

SCRIPT = """
import sys
from pathlib import Path
from hilum.dataset.manifest.manifest import load_manifest
from hilum.dataset.store.store import build_store
from hilum.radiograph.geometry import Geometry
print("once", flush=True)
build_store(load_manifest(sys.argv[1]), Geometry("squash", 32, 32), Path(sys.argv[2]), processes=2)
"""


def films(folder: Path, count: int, size: tuple[int, int] = (60, 50)) -> Manifest:
    for number in range(count):
        levels = np.random.default_rng(number).integers(0, 256, size, np.uint8)
        path = folder / ("normal" if number % 2 else "pneumonia") / f"{number:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(picture(Image.fromarray(levels), "PNG"))
    manifest, _, _ = import_folder(folder, "folder")
    save_manifest(manifest, folder / "manifest.parquet")
    return load_manifest(folder / "manifest.parquet")


def test_every_film_is_there_as_read_and_scaled(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 10)
    store = build_store(manifest, SQUARE, tmp_path / "stores")
    rows = store.rows(manifest.table["file_digest"].to_list())
    for path, row in zip(manifest.table["path"], rows, strict=True):
        film = read(manifest.path(path), at_least=SQUARE.at_least)
        np.testing.assert_array_equal(store.pixels[row], SQUARE.apply(film.pixels))
    with pytest.raises(ValueError, match="read-only"):
        store.pixels[0] = 0


def test_worker_processes_of_a_script_without_a_guard_give_the_same_pixels(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 80)
    alone = build_store(manifest, SQUARE, tmp_path / "alone", processes=1)
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    given = manifest.folder / "manifest.parquet", tmp_path / "together"
    ran = subprocess.run([sys.executable, script, *given], capture_output=True, text=True, timeout=PATIENCE, check=True)
    assert ran.stdout == "once\n"
    together = build_store(manifest, SQUARE, tmp_path / "together")
    np.testing.assert_array_equal(alone.pixels, together.pixels)


def test_labels_may_change_but_geometry_and_content_make_another_store(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 6)
    store = build_store(manifest, SQUARE, tmp_path / "stores")
    relabeled = Manifest(manifest.table.reverse().with_columns(label=None), manifest.folder)
    assert build_store(relabeled, SQUARE, tmp_path / "stores").folder == store.folder
    assert build_store(manifest, Geometry("fit", 32, 32), tmp_path / "stores").folder != store.folder
    fewer = Manifest(manifest.table.head(5), manifest.folder)
    assert build_store(fewer, SQUARE, tmp_path / "stores").folder != store.folder


def test_a_finished_store_needs_no_films(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 4)
    build_store(manifest, SQUARE, tmp_path / "stores")
    shutil.rmtree(tmp_path / "set")
    assert len(build_store(manifest, SQUARE, tmp_path / "stores").pixels) == 4


def test_equal_files_are_stored_once(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 4)
    shutil.copy(tmp_path / "set" / "normal" / "001.png", tmp_path / "set" / "normal" / "copy.png")
    manifest, _, _ = import_folder(tmp_path / "set", "folder")
    store = build_store(manifest, SQUARE, tmp_path / "stores")
    assert len(store.pixels) == 4
    assert (store.rows(manifest.table["file_digest"].to_list()) >= 0).all()


@pytest.fixture
def broken(tmp_path: Path) -> Manifest:
    """Ten films, one of which cannot be decoded."""
    films(tmp_path / "set", 10)
    path = tmp_path / "set" / "normal" / "003.png"
    path.write_bytes(path.read_bytes()[:200])
    return import_folder(tmp_path / "set", "folder")[0]


def test_an_unreadable_film_fails_the_build_by_name(broken: Manifest, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"003\.png: truncated_pixel_data.*none may be skipped.*--skip-bad"):
        build_store(broken, SQUARE, tmp_path / "stores")


def test_unreadable_films_can_be_skipped_up_to_a_number(broken: Manifest, tmp_path: Path) -> None:
    store = build_store(broken, SQUARE, tmp_path / "stores", skip_bad=1)
    rows = store.rows(broken.table["file_digest"].to_list())
    missing = [path for path, row in zip(broken.table["path"], rows, strict=True) if row < 0]
    assert missing == ["normal/003.png"]
    assert next(iter(store.skipped.values())).startswith("truncated_pixel_data")
    with pytest.raises(StoreError, match="none may be skipped"):  # a finished store keeps no secret
        build_store(broken, SQUARE, tmp_path / "stores")


def test_a_film_that_vanished_or_changed_is_named(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 4)
    path = tmp_path / "set" / "normal" / "001.png"
    original = path.read_bytes()
    path.write_bytes(picture(Image.new("L", (40, 40)), "PNG"))
    with pytest.raises(StoreError, match=r"001\.png: changed since it was imported"):
        build_store(manifest, SQUARE, tmp_path / "stores", skip_bad=4)
    path.unlink()
    with pytest.raises(StoreError, match=r"001\.png: No such file"):
        build_store(manifest, SQUARE, tmp_path / "stores", skip_bad=4)
    os.mkfifo(path)  # which nobody writes to: it is not waited for
    with pytest.raises(StoreError, match=r"001\.png: a pipe or a device"):
        build_store(manifest, SQUARE, tmp_path / "stores", skip_bad=4)
    path.unlink()
    path.write_bytes(original)
    assert len(build_store(manifest, SQUARE, tmp_path / "stores").pixels) == 4


def start_build(manifest: Path, stores: Path, killed_at: int = 0) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BUILD, str(manifest), str(stores), str(killed_at)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


@pytest.mark.soak
def test_killed_at_any_moment_it_goes_on_and_never_serves_half(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 40, size=(700, 900))
    whole = build_store(manifest, SQUARE, tmp_path / "whole", processes=1)
    stores = tmp_path / "stores"
    # Before its first film is synced, between a film and the journal, after ten films more, before its facts are
    # synced, and after it got its final name: how many films each build finds done.
    for killed_at, found in ((1, 0), (2, 0), (21, 1), (61, 11), (4, 40)):
        process = start_build(tmp_path / "set" / "manifest.parquet", stores, killed_at)
        assert process.communicate()[0] == f"{found}\n"
        assert process.returncode == -signal.SIGKILL
        for place in stores.glob("32x32-*"):
            # what stands under its final name is complete, whenever the build was killed
            if place.is_dir() and place.suffix != ".building":
                assert (place / "store.json").is_file()
    built = build_store(manifest, SQUARE, stores, processes=1)
    np.testing.assert_array_equal(built.pixels, whole.pixels)
    assert not list(stores.glob("*.building"))
    for killed_at in range(1, 62 if SOAK else 1):
        start_build(tmp_path / "set" / "manifest.parquet", tmp_path / f"{killed_at}", killed_at).wait()
        built = build_store(manifest, SQUARE, tmp_path / f"{killed_at}", processes=1)
        np.testing.assert_array_equal(built.pixels, whole.pixels)


def test_a_torn_journal_line_is_not_believed(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 8)
    whole = build_store(manifest, SQUARE, tmp_path / "stores", processes=1)
    unfinished = whole.folder.with_name(whole.folder.name + ".building")
    pixels = np.array(whole.pixels)
    whole.folder.rename(unfinished)
    (unfinished / "store.json").unlink()
    with (unfinished / "pixels.u8").open("r+b") as file:
        file.seek(2 * 1024)
        file.write(bytes(6 * 1024))  # rows 2 to 7 never reached the disk
    (unfinished / "journal").write_text("[0, null]\n[1, null]\n[5, nu")
    again = build_store(manifest, SQUARE, tmp_path / "stores", processes=1)
    np.testing.assert_array_equal(again.pixels, pixels)


def test_two_builds_at_once_end_in_one_store(tmp_path: Path) -> None:
    films(tmp_path / "set", 40, size=(500, 500))
    builds = [start_build(tmp_path / "set" / "manifest.parquet", tmp_path / "stores") for _ in range(2)]
    assert [build.communicate()[0].strip() for build in builds] == ["40", "40"]
    assert [build.returncode for build in builds] == [0, 0]
    assert len([place for place in (tmp_path / "stores").iterdir() if place.is_dir()]) == 1


def test_a_pixel_file_of_the_wrong_size_is_not_served(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 4)
    store = build_store(manifest, SQUARE, tmp_path / "stores")
    os.truncate(store.folder / "pixels.u8", 100)
    with pytest.raises(StoreError, match="delete this folder"):
        build_store(manifest, SQUARE, tmp_path / "stores")


def test_no_room_is_a_clear_error_and_breaks_nothing(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 20)
    limited = (
        "import resource, signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN); "
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n" + BUILD
    )
    places = [str(tmp_path / "set" / "manifest.parquet"), str(tmp_path / "stores")]
    command = [sys.executable, "-c", limited, *places, "0"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "StoreError" in answer.stderr
    assert "no room for the store" in answer.stderr
    assert len(build_store(manifest, SQUARE, tmp_path / "stores").pixels) == 20


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    manifest = films(tmp_path / "set", 2)
    (tmp_path / "stores").write_text("a file where a folder should be")
    with pytest.raises(OSError, match="stores"):
        build_store(manifest, SQUARE, tmp_path / "stores")


def test_facts_are_plain_json(tmp_path: Path) -> None:
    store = build_store(films(tmp_path / "set", 3), SQUARE, tmp_path / "stores")
    facts = json.loads((store.folder / "store.json").read_text())
    assert facts["geometry"] == {"mode": "squash", "height": 32, "width": 32, "keep": 1.0}
