"""What `hilum page` writes: a folder whose files browsers can check, and nothing over what is not its own."""

from __future__ import annotations

import hashlib
import json
import re
import zlib
from pathlib import Path
from typing import Any

import pytest
from bundles import tiny_bundle
from commands import run
from site_page import LIBRARY

from hilum import __version__


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A page with a small bundle."""
    tiny = tiny_bundle(tmp_path)
    assert run("page", tmp_path / "page", "--model", f"small={tiny}").returncode == 0
    return tmp_path / "page"


def listed(folder: Path) -> dict[str, Any]:
    """The files that the service worker keeps, with their digests and sizes."""
    worker = (folder / "service-worker.js").read_text("utf-8")
    match = re.search(r"^const FILES = (\{.*\});$", worker, re.MULTILINE)
    assert match is not None
    found: dict[str, Any] = json.loads(match[1])
    return found


def test_the_worker_knows_the_digest_of_every_file(folder: Path) -> None:
    files = {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}
    assert files == {*listed(folder), "service-worker.js"}
    for name, (digest, size) in listed(folder).items():
        content = (folder / name).read_bytes()
        assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, size)


def test_a_page_says_which_models_it_has(folder: Path) -> None:
    site = json.loads((folder / "page" / "site.json").read_text("utf-8"))
    card = json.loads((folder / "models" / "small.json").read_text("utf-8"))
    assert (site["models"], site["hilum"], card["name"]) == (["small"], __version__, "tiny")
    assert "films" not in card["data"]  # of its films nothing is said but how many


def test_a_page_without_a_server_promises_nothing_of_one(folder: Path) -> None:
    page = (folder / "index.html").read_text("utf-8")
    assert 'data-words="welcome.kept_here"' in page and 'data-words="welcome.kept"' not in page


def test_a_page_is_renewed_and_what_it_no_longer_has_is_gone(folder: Path, tmp_path: Path) -> None:
    other = tiny_bundle(tmp_path)
    assert run("page", folder, "--model", f"other={other}").returncode == 0
    assert sorted(path.name for path in (folder / "models").iterdir()) == ["other.json", "other.onnx"]


def test_what_is_no_page_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "letter.txt").write_text("keep me")
    done = run("page", tmp_path)
    assert done.returncode == 1
    assert done.stderr.strip() == f"{tmp_path}: not empty, and no page that hilum wrote; give another folder"
    assert [path.name for path in tmp_path.iterdir()] == ["letter.txt"]


def test_a_bundle_that_is_none_writes_nothing(tmp_path: Path) -> None:
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    done = run("page", tmp_path / "page", "--model", tmp_path / "bad.onnx")
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1)
    assert not (tmp_path / "page").exists()


@pytest.mark.parametrize(
    ("models", "words"),
    [
        (["=default"], "a model without a name"),
        (["a=default", "a=default"], "model a is given twice"),
        (["../../a=default"], "give it a plain name"),
    ],
)
def test_a_bundle_that_can_be_no_file_of_the_page_is_refused(models: list[str], words: str, tmp_path: Path) -> None:
    answer = run("page", tmp_path / "site", *(f"--model={model}" for model in models))
    assert answer.returncode == 1 and words in answer.stderr and not any(tmp_path.iterdir())


def test_the_files_from_npm_are_those_that_were_pinned() -> None:
    packages = json.loads((LIBRARY / "packages.json").read_text("utf-8"))
    pinned = {wanted["name"]: wanted["sha256"] for package in packages for wanted in package["files"].values()}
    files = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in (LIBRARY / "files").iterdir()}
    assert files == pinned


def test_none_of_them_is_gpl_and_each_has_its_license_beside_it() -> None:
    packages = json.loads((LIBRARY / "packages.json").read_text("utf-8"))
    licenses = (LIBRARY / "licenses.txt").read_text("utf-8")
    for package in packages:
        assert "GPL" not in package["license"]
        for wanted in package["files"].values():
            assert wanted["name"] in licenses


def test_what_a_browser_fetches_is_bounded(tmp_path: Path) -> None:
    assert run("page", tmp_path / "page").returncode == 0
    contents = {path.name: path.read_bytes() for path in (tmp_path / "page").rglob("*") if path.is_file()}
    plain, graphics = (f"ort-wasm-simd-threaded.{name}wasm" for name in ("", "jspi."))
    for idle, most in ((graphics, 32e6), (plain, 33e6)):  # of these a browser fetches one
        fetched = [content for name, content in contents.items() if name != idle]
        assert sum(map(len, fetched)) < most
        assert sum(len(zlib.compress(content, 1)) for content in fetched) < 20e6
