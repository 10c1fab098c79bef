"""Fetching over real HTTP on the loopback interface: transfers that break, and servers and disks that misbehave."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from kaggle_server import TOKEN, KaggleServer, loopback
from test_archive import MEMBERS, files_below, packed

from hilum.dataset.fetch import fetch as fetch_module
from hilum.dataset.fetch.archive import FetchError
from hilum.dataset.fetch.fetch import Kind, fetch

# Incompressible, so that it breaks where a test says, and more than the buffers of a socket take at once.
FILMS = {**MEMBERS, "films/large.jpeg": os.urandom(3 << 20)}


@pytest.fixture
def kaggle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[KaggleServer]:
    with loopback(packed(FILMS), tmp_path, monkeypatch) as server:
        yield server


@pytest.fixture
def signed_in(kaggle: KaggleServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KAGGLE_USERNAME", "radiologist")
    monkeypatch.setenv("KAGGLE_KEY", TOKEN)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "data"


def quiet(step: str, done: int, total: int) -> None:
    pass


def refusal(kind: Kind, folder: Path) -> FetchError:
    with pytest.raises(FetchError) as caught:
        fetch(kind, folder, quiet)
    return caught.value


def visible(folder: Path) -> list[str]:
    return [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")] if folder.exists() else []


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.usefixtures("signed_in")
def test_a_data_set_arrives(kaggle: KaggleServer, folder: Path, kind: Kind) -> None:
    steps: list[tuple[str, int, int]] = []
    assert fetch(kind, folder, lambda *step: steps.append(step)) == folder
    record = json.loads((folder / ".fetched.json").read_text())
    assert record["kind"] == kind
    assert record["version"] == (None if kind == "rsna" else 2)
    assert record["size"] == len(kaggle.archive)
    (folder / ".fetched.json").unlink()
    assert files_below(folder) == FILMS
    assert sorted(path.name for path in folder.iterdir()) == ["films", "table.csv"]
    assert {step for step, _, _ in steps} == {"downloading", "checking", "unpacking"}
    assert ("downloading", len(kaggle.archive), len(kaggle.archive)) in steps


def test_what_is_there_is_not_fetched_again(kaggle: KaggleServer, folder: Path) -> None:
    fetch(Kind.KERMANY, folder, quiet)
    kaggle.seen.clear()
    fetch(Kind.KERMANY, folder, quiet)
    assert kaggle.seen == []


def test_what_was_deleted_is_fetched_again(kaggle: KaggleServer, folder: Path) -> None:
    fetch(Kind.KERMANY, folder, quiet)
    (folder / "table.csv").unlink()
    assert refusal(Kind.KERMANY, folder).reason == "folder_not_empty"
    for path in sorted((folder / "films").rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    (folder / "films").rmdir()
    fetch(Kind.KERMANY, folder, quiet)
    assert (folder / "films" / "large.jpeg").read_bytes() == FILMS["films/large.jpeg"]


def test_a_broken_transfer_is_resumed_in_the_same_run(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.break_after = [1 << 20, 1 << 19]
    fetch(Kind.KERMANY, folder, quiet)
    first, second, third = kaggle.transfers()
    assert first.range is None
    assert second.range == "bytes=1048576-"
    assert third.range == "bytes=1572864-"
    assert (folder / "films" / "large.jpeg").read_bytes() == FILMS["films/large.jpeg"]


def test_a_broken_transfer_is_resumed_by_the_next_run(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.break_after = [1 << 20, 0, 0]
    error = refusal(Kind.KERMANY, folder)
    assert error.reason == "connection"
    assert "continues at 1 MB" in error.detail
    assert visible(folder) == []
    kaggle.seen.clear()
    fetch(Kind.KERMANY, folder, quiet)
    assert [transfer.range for transfer in kaggle.transfers()] == ["bytes=1048576-"]
    assert (folder / "films" / "large.jpeg").read_bytes() == FILMS["films/large.jpeg"]


def test_progress_that_breaks_often_is_not_given_up(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.break_after = [400_000] * 7
    fetch(Kind.KERMANY, folder, quiet)
    assert len(kaggle.transfers()) == 8


def test_a_server_that_ignores_range(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.break_after = [1 << 20]
    kaggle.ignore_range = True
    fetch(Kind.KERMANY, folder, quiet)
    assert [transfer.range for transfer in kaggle.transfers()] == [None, "bytes=1048576-"]
    assert (folder / "films" / "large.jpeg").read_bytes() == FILMS["films/large.jpeg"]


def test_a_new_version_is_not_appended_to_the_old(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.break_after = [1 << 20, 0, 0]
    refusal(Kind.KERMANY, folder)
    kaggle.archive, kaggle.etag = packed({"new.txt": b"new"}), '"2"'
    fetch(Kind.KERMANY, folder, quiet)
    assert visible(folder) == ["new.txt"]


def test_a_transfer_that_stands_still(kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_module, "TIMEOUT", (1, 0.2))
    kaggle.stall = True
    assert refusal(Kind.KERMANY, folder).reason == "connection"


def test_wrong_bytes_are_not_kept(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.announced_md5 = bytes(16)
    assert refusal(Kind.KERMANY, folder).reason == "damaged_archive"
    assert not [path for path in folder.rglob("*") if path.suffix in (".zip", ".part", ".jpeg")]
    kaggle.announced_md5 = None
    fetch(Kind.KERMANY, folder, quiet)


def test_without_an_md5_the_zip_checks_itself(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.without_md5 = True
    whole = kaggle.archive
    kaggle.archive = whole[: len(whole) // 2]
    assert refusal(Kind.KERMANY, folder).reason == "damaged_archive"
    assert visible(folder) == []
    kaggle.archive = whole
    fetch(Kind.KERMANY, folder, quiet)
    assert visible(folder)


def test_an_unsafe_archive_is_not_kept(kaggle: KaggleServer, folder: Path) -> None:
    kaggle.archive = packed({"../../x": b"out"})
    assert refusal(Kind.KERMANY, folder).reason == "unsafe_archive"
    assert not [path for path in folder.parent.rglob("*") if path.name in ("x", "archive.zip")]


def test_a_checked_archive_is_not_downloaded_again(
    kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(step: str, done: int, total: int) -> None:
        if step == "unpacking":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(Kind.KERMANY, folder, interrupt)
    assert visible(folder) == []
    kaggle.seen.clear()
    fetch(Kind.KERMANY, folder, quiet)
    assert kaggle.seen == []
    assert sorted(visible(folder)) == ["films", "table.csv"]


def test_moving_into_sight_continues(kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    genuine = Path.rename

    def fail(path: Path, target: Path) -> Path:
        if path.name == "table.csv":
            raise PermissionError(13, "Permission denied", str(target))
        return genuine(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    error = refusal(Kind.KERMANY, folder)
    assert error.reason == "cannot_write"
    assert "Permission denied" in error.detail
    monkeypatch.undo()
    fetch(Kind.KERMANY, folder, quiet)  # without a server: all that is left to do is here
    assert json.loads((folder / ".fetched.json").read_text())["entries"] == ["films", "table.csv"]
    assert sorted(visible(folder)) == ["films", "table.csv"]


@pytest.mark.parametrize("name", ["notes.txt", ".fetch-rsna"])
def test_a_folder_in_use_is_left_alone(kaggle: KaggleServer, folder: Path, name: str) -> None:
    folder.mkdir()
    (folder / name).mkdir()
    assert refusal(Kind.KERMANY, folder).reason == "folder_not_empty"
    assert [entry.name for entry in folder.iterdir()] == [name]
    assert kaggle.seen == []


def test_a_disk_too_small_is_known_before(kaggle: KaggleServer, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": 1000}))
    assert refusal(Kind.KERMANY, folder).reason == "disk_full"
    assert kaggle.transfers() == []
