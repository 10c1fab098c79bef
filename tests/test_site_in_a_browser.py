"""The page without a server answers as Python does, asks for its own files only, and once opened needs no network."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import choose, chromium, film, what_goes_wrong
from commands import run
from conftest import PATIENCE, PYDICOM_DATA_FILES
from playwright.sync_api import Browser, BrowserContext, Page
from site_page import hosted

import hilum
from hilum.service.page.files import FILES

DRAWN = FILES["drawn-film.jpg"]
REAL = PYDICOM_DATA_FILES / "RG1_UNCR.dcm"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with the model in the box."""
    written = tmp_path_factory.mktemp("site") / "page"
    assert run("page", written).returncode == 0
    return written


@contextmanager
def opened(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page once it can judge; what goes wrong in it unseen fails the test."""
    context.set_default_timeout(1000 * PATIENCE)
    page = context.new_page()
    wrong = what_goes_wrong(page)
    page.goto(address)
    page.locator("#model option").first.wait_for(state="attached")
    yield page
    page.close()
    assert not wrong, wrong


def saved(page: Page) -> dict[str, Any]:
    """The answer for the film one looks at, as it is saved."""
    with page.expect_download() as download:
        page.click("#save-json")
    answer: dict[str, Any] = json.loads(Path(download.value.path()).read_text("utf-8"))
    return answer


def test_films_get_the_answers_of_python(browser: Browser, folder: Path, tmp_path: Path) -> None:
    films = {"film.jpg": DRAWN, "real.dcm": REAL.read_bytes(), "letter.txt": b"no film\n"}
    with hosted(folder) as (address, _), opened(browser.new_context(locale="en-US"), address) as page:
        choose(page, *(film(name, content) for name, content in films.items()))
        for place, (name, content) in enumerate(films.items()):
            (tmp_path / name).write_bytes(content)
            page.locator("#list li").nth(place).click()
            (expected,) = hilum.load().predict([tmp_path / name])
            same(saved(page) if expected.decision else None, expected.to_dict())


def same(answer: dict[str, Any] | None, expected: dict[str, Any]) -> None:
    """Equal to within what decoding and another runtime may change."""
    if answer is None:
        return
    near = {"probability", "probabilities", "boxes", "file", "gate", "patient_group"}
    assert {key: answer[key] for key in answer if key not in near} == {
        key: expected[key] for key in expected if key not in near
    }
    assert answer["probabilities"] == pytest.approx(expected["probabilities"], abs=0.005)
    assert answer["gate"]["distance"] == pytest.approx(expected["gate"]["distance"], abs=0.02)
    assert answer["patient_group"]["probability"] == pytest.approx(expected["patient_group"]["probability"], abs=0.005)
    for box, other in zip(answer["boxes"], expected["boxes"], strict=True):
        assert box.pop("label") == other.pop("label")
        assert list(box.values()) == pytest.approx(list(other.values()), abs=expected["height"] / 256)


def test_it_asks_for_no_file_but_its_own_and_needs_no_network_again(browser: Browser, folder: Path) -> None:
    context = browser.new_context(locale="en-US")
    asked: list[str] = []
    context.on("request", lambda request: asked.append(request.url))
    with hosted(folder) as (address, paths):
        with opened(context, address) as page:
            choose(page, film("film.jpg", DRAWN))
        own = {path.relative_to(folder).as_posix() for path in folder.rglob("*")} | {""}
        assert {urlsplit(url).netloc for url in asked if not url.startswith("blob:")} == {urlsplit(address).netloc}
        assert {path.lstrip("/") for path in paths} <= own
        first = len(paths)
        with opened(context, address) as page:
            choose(page, film("film.jpg", DRAWN))
        assert set(paths[first:]) <= {"/service-worker.js"}  # whether there is a newer version
    context.set_offline(True)
    with opened(context, address) as page:  # nobody serves it any more
        choose(page, film("film.jpg", DRAWN))
        assert saved(page)["decision"] == "pneumonia"


@pytest.mark.parametrize(
    "attempt",
    [
        "fetch('https://example.org/')",
        "fetch('http://localhost:9/')",
        "new Promise((done, fail) => { const picture = new Image(); picture.onload = done; picture.onerror = fail; "
        "picture.src = 'https://example.org/a.png'; })",
        "new Promise((done, fail) => { const worker = new Worker(URL.createObjectURL(new Blob(["
        "\"fetch('https://example.org/').then(() => postMessage('sent'), () => postMessage('refused'))\"])));"
        "worker.onmessage = ({ data }) => (data === 'sent' ? done() : fail(data)); })",
    ],
)
def test_its_policy_lets_nothing_out(browser: Browser, folder: Path, attempt: str) -> None:
    refused: list[str] = []
    with hosted(folder) as (address, _):
        page = browser.new_page()
        page.on("request", lambda request: refused.append(request.url) if "example.org" in request.url else None)
        page.goto(f"{address}")
        page.locator("#model option").first.wait_for(state="attached")
        assert page.evaluate(f"{attempt}.then(() => 'sent', () => 'refused')") == "refused"
        page.close()
